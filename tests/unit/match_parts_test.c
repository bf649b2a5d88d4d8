#include <criterion/criterion.h>
Test(match_parts, x) {}
