/*
 * The serial line as a terminal: a thread that reads it, and a line editor on top. The reader is a thread
 * of its own so that ^C is seen while the program in the foreground runs. It has a high priority, so that a
 * busy program cannot keep it from that; it sleeps nearly always. All state is under `lock`.
 */
#include "user/lib/primer.h"

#define READER_PRIO 40

#define KEY_INTERRUPT 0x03          /* ^C */
#define KEY_BACKSPACE 0x08          /* ^H */
#define KEY_KILL      0x15          /* ^U */
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f          /* what the backspace key of most terminals sends */

static struct {
    struct primer_mutex lock;
    struct primer_condition arrived;
    char bytes[8192];               /* a ring, for a pasted page; what comes when it is full is lost */
    unsigned head, tail;            /* ever written, ever read */
    status_t error;                 /* negative: the reader has given up */
    uint64_t foreground;            /* task that ^C kills; 0: nobody, ^C is a key like others */
    struct primer_thread reader;
} terminal;

static void receive_locked(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == KEY_INTERRUPT && terminal.foreground) {
            primer_kill(terminal.foreground);
            terminal.tail = terminal.head;          /* what was typed ahead was meant for another situation */
        } else if (terminal.head - terminal.tail < sizeof(terminal.bytes)) {
            terminal.bytes[terminal.head++ % sizeof(terminal.bytes)] = bytes[i];
        }
    }
}

static void read_forever(void *unused)
{
    (void)unused;
    for (;;) {
        char bytes[64];
        status_t count = primer_console_read(bytes, sizeof(bytes));
        primer_mutex_lock(&terminal.lock);
        if (count < 0)
            terminal.error = count;
        else
            receive_locked(bytes, (size_t)count);
        primer_condition_signal(&terminal.arrived);
        primer_mutex_unlock(&terminal.lock);
        if (count < 0)
            return;
    }
}

status_t terminal_start(void)
{
    return primer_thread_start(&terminal.reader, read_forever, NULL, READER_PRIO);
}

void terminal_foreground(uint64_t task)
{
    primer_mutex_lock(&terminal.lock);
    terminal.foreground = task;
    primer_mutex_unlock(&terminal.lock);
}

/* The next byte, 0..255; or E_*. */
static status_t next_byte(void)
{
    primer_mutex_lock(&terminal.lock);
    while (terminal.head == terminal.tail && terminal.error == 0)
        primer_condition_wait(&terminal.arrived, &terminal.lock, PRIMER_FOREVER);
    status_t result = terminal.error;
    if (terminal.head != terminal.tail)
        result = (uint8_t)terminal.bytes[terminal.tail++ % sizeof(terminal.bytes)];
    primer_mutex_unlock(&terminal.lock);
    return result;
}

/*
 * Swallows what follows ESC: "[", parameters, and a final byte from '@' on (ECMA-48, 5.4), as arrow keys
 * send it.
 */
static status_t skip_escape(void)
{
    status_t byte = next_byte();
    if (byte != '[' && byte != 'O')
        return byte;
    do
        byte = next_byte();
    while (byte >= 0 && byte < '@');
    return byte;
}

static void erase(size_t count)
{
    while (count-- > 0)
        print("\b \b");
}

status_t terminal_line(const char *prompt, char *line, size_t size)
{
    size_t len = 0;
    print("%s", prompt);
    for (;;) {
        print_flush();
        status_t byte = next_byte();
        if (byte == KEY_ESCAPE)
            byte = skip_escape() < 0 ? terminal.error : 0;
        if (byte < 0)
            return byte;
        if (byte == '\r' || byte == '\n') {
            print("\n");
            line[len] = '\0';
            return (status_t)len;
        } else if (byte == KEY_INTERRUPT) {
            print("^C\n");
            line[0] = '\0';
            return 0;
        } else if (byte == KEY_KILL) {
            erase(len);
            len = 0;
        } else if (byte == KEY_BACKSPACE || byte == KEY_DELETE) {
            if (len > 0) {
                erase(1);
                len--;
            }
        } else if (byte < ' ') {
            continue;                               /* another control key */
        } else if (len + 1 < size) {
            line[len++] = (char)byte;
            print("%c", (char)byte);
        } else {
            print("\a");
        }
    }
}
