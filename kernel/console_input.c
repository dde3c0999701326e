/*
 * Threads that wait for serial input. The interrupt puts bytes into the console's ring and then wakes the
 * waiters here, under a lock of their own (rank WAIT).
 */
#include "kernel/console_input.h"
#include "kernel/log.h"
#include "kernel/wait.h"

static struct spinlock lock = SPINLOCK("console readers", RANK_WAIT);
static struct list_node readers = {&readers, &readers};     /* under lock */

/* Some of them: whoever comes too late waits again. There is one reader, as a rule. */
static void input_came(void)
{
    spin_lock(&lock);
    wait_wake(&readers, 8);
    spin_unlock(&lock);
}

void console_read_init(void)
{
    console_on_input = input_came;
}

/* The ring is looked at with the lock held: input that comes after the look finds the reader on the list. */
status_t console_read(char *buf, size_t len)
{
    for (;;) {
        size_t got = 0;
        spin_lock(&lock);
        for (int byte; got < len && (byte = console_poll()) >= 0;)
            buf[got++] = (char)byte;
        if (got > 0) {
            spin_unlock(&lock);
            return (status_t)got;
        }
        status_t status = wait_on(&lock, &readers, WAIT_CONSOLE, NULL, TIME_NEVER);
        if (status < 0)
            return status;
    }
}
