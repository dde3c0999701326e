/*
 * Output. One buffer per task collects a line; each write is one system call, and the kernel keeps the
 * bytes of one call together up to 64, so short lines come out whole. The buffer's own lock is `lock`.
 */
#include "user/lib/primer.h"

static struct primer_mutex lock;
static char buffer[256];            /* under lock; `used` bytes are not yet written */
static size_t used;

static void write_out_locked(void)
{
    size_t done = 0;
    while (done < used) {
        status_t written = primer_log(buffer + done, used - done);
        if (written <= 0)
            break;                  /* nobody to tell */
        done += (size_t)written;
    }
    used = 0;
}

void print_bytes(const char *bytes, size_t len)
{
    primer_mutex_lock(&lock);
    for (size_t i = 0; i < len; i++) {
        buffer[used++] = bytes[i];
        if (bytes[i] == '\n' || used == sizeof(buffer))
            write_out_locked();
    }
    primer_mutex_unlock(&lock);
}

void print(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = format_v(text, sizeof(text), format, args);
    va_end(args);
    print_bytes(text, min_u64((uint64_t)len, sizeof(text) - 1));
}

void print_lock_flushed(void)
{
    primer_mutex_lock(&lock);
    write_out_locked();
}

void print_unlock(void)
{
    primer_mutex_unlock(&lock);
}

void print_flush(void)
{
    print_lock_flushed();
    print_unlock();
}
