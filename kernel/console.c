/*
 * The kernel's log: text from any context goes into a ring, and from there to the serial line and the
 * screen. Own lock: `console_lock`, the last in the order, so that anybody may print whatever he holds.
 *
 * Text enters the ring up to 256 bytes at a time, so a line of kprintf() is never torn by another CPU. It
 * leaves in many short lock holds, a FIFO's worth of bytes and a few cells of the screen each; between two
 * of them interrupts are on (if the caller had them on) and other writers get their turn. Whoever wrote
 * stays until his own text is out, and sends what stands before it on the way, so no thread of its own is
 * needed and nothing is left behind.
 */
#include "boot/boot_info.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/screen.h"
#include "kernel/serial.h"

#define RING_BYTES  4096u
#define ENTRY_BYTES 256u

static struct spinlock console_lock = SPINLOCK("console", RANK_CONSOLE);

/* Under console_lock. Positions count bytes since boot, modulo 2^32. */
static char ring[RING_BYTES];
static uint32_t written, serial_sent, screen_sent;

/* Set once, by the CPU that panics; the others are stopped or about to be. */
static _Atomic bool panic_mode;

void (*console_on_input)(void);

/*
 * No lock before a struct cpu can note it (CPU 0 is alone then), nor in a panic (the holder may be
 * stopped).
 */
static bool console_enter(void)
{
    bool locked = cpu_local_ready && !atomic_load_explicit(&panic_mode, memory_order_relaxed);
    if (locked)
        spin_lock(&console_lock);
    return locked;
}

static void console_leave(bool locked)
{
    if (locked)
        spin_unlock(&console_lock);
}

/* One lock hold's worth of output. */
static void drain_some(void)
{
    if (serial_sent != written) {
        uint32_t at = serial_sent % RING_BYTES;
        uint32_t len = (uint32_t)min_u64(written - serial_sent, RING_BYTES - at);
        serial_sent += serial_send(&ring[at], len);
    }
    unsigned burst = screen_burst();
    if (burst == 0)
        screen_sent = written;
    for (; burst > 0 && screen_sent != written; burst--)
        screen_sent += screen_put(ring[screen_sent % RING_BYTES]);
}

/* How much of the ring is still to be sent on one way or the other. */
static uint32_t backlog(void)
{
    return (uint32_t)max_u64(written - serial_sent, written - screen_sent);
}

/* Puts text into the ring, whole. Returns the position after it. */
static uint32_t append(const char *bytes, uint32_t len)
{
    bool locked = console_enter();
    while (RING_BYTES - backlog() < len) {
        drain_some();
        console_leave(locked);
        cpu_relax();
        locked = console_enter();
    }
    uint32_t at = written % RING_BYTES;
    uint32_t first = (uint32_t)min_u64(len, RING_BYTES - at);
    memcpy(&ring[at], bytes, first);
    memcpy(ring, bytes + first, len - first);
    written += len;
    uint32_t end = written;
    console_leave(locked);
    return end;
}

/* Sends until everything before `end` is out. */
static void drain_to(uint32_t end)
{
    bool out;
    do {
        bool locked = console_enter();
        /* Nothing of ours is pending once what is pending is less than what came after us. */
        out = backlog() <= written - end;
        if (!out)
            drain_some();
        console_leave(locked);
    } while (!out);
}

void console_write(const char *bytes, size_t len)
{
    while (len > 0) {
        uint32_t part = (uint32_t)min_u64(len, ENTRY_BYTES);
        drain_to(append(bytes, part));
        bytes += part;
        len -= part;
    }
}

void kprintf(const char *format, ...)
{
    char text[ENTRY_BYTES];
    va_list args;
    va_start(args, format);
    int len = format_v(text, sizeof(text), format, args);
    va_end(args);
    console_write(text, min_u64((uint64_t)len, sizeof(text) - 1));
}

void console_early_init(void)
{
    serial_init();
}

void console_screen_init(const struct boot_info *info)
{
    screen_init(info);
    /* The screen begins with what is still in the ring from before it was there. */
    screen_sent = written - (uint32_t)min_u64(written, RING_BYTES);
    drain_to(written);
}

static void input_arrived(void)
{
    if (console_on_input)
        console_on_input();
}

void console_input_init(void)
{
    serial_input_init(input_arrived);
}

void console_panic_mode(void)
{
    atomic_store(&panic_mode, true);
    drain_to(written);
}

int console_poll(void)
{
    return serial_receive();
}
