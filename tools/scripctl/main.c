/*
 * main.c - scripctl: reads, proves and carries the journal of a Scrip deployment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "scripctl/scratch.h"
#include "scripctl/table.h"

/* Closed standard files are opened on what refuses them, so that no connection takes their place
 * and gets what was meant for the reader. */
static bool
hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) != fd)
            return false;
    return true;
}

int
main(int argc, char **argv)
{
    if (!hold_standard_files())
        return STATUS_FAILED;
    signal(SIGPIPE, SIG_IGN);
    scratch_init();
    return (int)command_main(argc, (const char *const *)argv);
}
