/*
 * pg_array.h - one column of many rows as a PostgreSQL binary array, for unnest().
 *
 * A column is built value by value and handed to pg_send* as a binary parameter; its memory is
 * kept between batches, so that nothing is allocated once it has grown to its usual size. A
 * statement takes one array per column: INSERT ... SELECT * FROM unnest($1::int8[], $2::text[]).
 *
 * Rows of many columns are cheaper as one array of records of the table's own type, whose oid has
 * to be asked for: INSERT INTO t SELECT * FROM unnest($1::t[]).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_PG_ARRAY_H
#define SCRIP_HOST_PG_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "wire/codec.h"

/* Element types, by the numbers PostgreSQL gave them for ever (pg_type.dat). */
enum pg_oid {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_RECORD = 2249, /* stands for a table's row type until pg_array_set_type() */
    PG_BYTEA_ARRAY = 1001,
    PG_BOOL_ARRAY = 1000,
    PG_INT2_ARRAY = 1005,
    PG_INT4_ARRAY = 1007,
    PG_TEXT_ARRAY = 1009,
    PG_INT8_ARRAY = 1016
};

struct pg_array {
    struct bytes bytes;
    uint32_t element; /* enum pg_oid of one value, PG_RECORD */
    uint32_t count;   /* of elements, records */
    size_t record_at; /* where the record under way begins */
    uint32_t fields;  /* it has so far */
};

void pg_array_init(struct pg_array *a, enum pg_oid element);
void pg_array_fini(struct pg_array *a);
/* Empties; keeps the memory. */
void pg_array_clear(struct pg_array *a);

/* One value more. The function must fit the array's element type; CHECKed. */
void pg_array_bool(struct pg_array *a, bool value);
void pg_array_int2(struct pg_array *a, int16_t value);
void pg_array_int4(struct pg_array *a, int32_t value);
void pg_array_int8(struct pg_array *a, int64_t value);
void pg_array_text(struct pg_array *a, const char *text);
void pg_array_bytea(struct pg_array *a, const void *data, size_t length);
/* A record of messages.def, packed, as a bytea. */
void pg_array_packed(struct pg_array *a, enum msg_record id, const void *record);

/* A record more: begin, its values by the functions above, each of any type, end. */
void pg_array_begin(struct pg_array *a);
void pg_array_end(struct pg_array *a);
/* The row type of an array of records, before it is sent. */
void pg_array_set_type(struct pg_array *a, uint32_t type);

/* The array type of an element type. */
uint32_t pg_array_type(enum pg_oid element);
/* The finished parameter; lent until the array changes. */
const char *pg_array_value(struct pg_array *a);
int pg_array_length(const struct pg_array *a);

/* Big-endian integers, as binary results and parameters carry them. */
int64_t pg_read_int(const char *data, int length);
void pg_write_int8(int64_t value, char out[8]);

#endif
