/*
 * COM1, a 16550: polled output for kernel/console.c, input by interrupt into a ring. Register names and
 * bits follow the National Semiconductor PC16550D data sheet, section 8. Own lock: `input_lock`, for the
 * ring. Output has none here: its only caller brings the console's. No modem lines, no error report.
 */
#include "kernel/serial.h"
#include "arch/irq.h"
#include "arch/port.h"
#include "kernel/lock.h"

#define COM1     0x3f8
#define COM1_IRQ 4

#define REG_DATA 0              /* receive and transmit; divisor low while LCR_DIVISOR */
#define REG_IER  1              /* interrupt enable; divisor high */
#define REG_FCR  2
#define REG_LCR  3
#define REG_MCR  4
#define REG_LSR  5

#define IER_RECEIVE   0x01
#define FCR_ON        0x07      /* FIFOs on and emptied, interrupt from the first byte on */
#define LCR_8N1       0x03
#define LCR_DIVISOR   0x80
#define MCR_ON        0x0b      /* DTR, RTS, and OUT2, which lets the interrupt through on a PC */
#define LSR_RECEIVED  0x01
#define LSR_SENT      0x20      /* transmit FIFO empty: it takes 16 bytes */
#define LSR_NO_UART   0xff      /* what an undecoded port reads as; a UART cannot have every error at once */

#define FIFO_BYTES 16
#define BUSY_POLLS 100000       /* a port read takes about a microsecond on real machines; 16 bytes take 1.4 ms */

#define INPUT_BYTES 256
#define INPUT_BURST 64          /* bytes per interrupt: the interrupts-off time is bounded, whoever sends */

/* Under the console's lock. */
static bool uart_found;
static unsigned busy_polls;     /* in a row; at BUSY_POLLS the line is stuck, until LSR_SENT shows up again */

/* Under input_lock. */
static struct spinlock input_lock = SPINLOCK("serial input", RANK_LEAF);
static char input[INPUT_BYTES];
static uint32_t input_head, input_tail;     /* bytes ever put in and taken out */
static bool input_paused;                   /* ring full: the interrupt is off, the rest waits at the sender */

static void (*input_arrived)(void);         /* fixed after serial_input_init() */

void serial_init(void)
{
    uart_found = inb(COM1 + REG_LSR) != LSR_NO_UART;
    if (!uart_found)
        return;
    outb(COM1 + REG_IER, 0);
    outb(COM1 + REG_LCR, LCR_DIVISOR);
    outb(COM1 + REG_DATA, 1);               /* 1.8432 MHz / 16 / 1 = 115200 */
    outb(COM1 + REG_IER, 0);
    outb(COM1 + REG_LCR, LCR_8N1);
    outb(COM1 + REG_FCR, FCR_ON);
    outb(COM1 + REG_MCR, MCR_ON);
}

unsigned serial_send(const char *bytes, unsigned len)
{
    if (!uart_found)
        return len;
    if (!(inb(COM1 + REG_LSR) & LSR_SENT)) {
        if (busy_polls >= BUSY_POLLS)
            return len;
        busy_polls++;
        return 0;
    }
    busy_polls = 0;

    unsigned done = 0;
    for (unsigned room = FIFO_BYTES; done < len && room >= 2; done++, room--) {
        if (bytes[done] == '\n') {
            outb(COM1 + REG_DATA, '\r');
            room--;
        }
        outb(COM1 + REG_DATA, (uint8_t)bytes[done]);
    }
    return done;
}

static void serial_interrupt(void)
{
    spin_lock(&input_lock);
    for (unsigned i = 0; i < INPUT_BURST && input_head - input_tail < INPUT_BYTES; i++) {
        if (!(inb(COM1 + REG_LSR) & LSR_RECEIVED))
            break;
        input[input_head++ % INPUT_BYTES] = (char)inb(COM1 + REG_DATA);
    }
    /*
     * The ISA interrupt is an edge, and a byte that came while the loop ended would make none: off and on
     * again raises the line anew if anything is left. With the ring full it stays off until
     * serial_receive() makes room.
     */
    outb(COM1 + REG_IER, 0);
    input_paused = input_head - input_tail == INPUT_BYTES;
    if (!input_paused)
        outb(COM1 + REG_IER, IER_RECEIVE);
    spin_unlock(&input_lock);
    input_arrived();
}

void serial_input_init(void (*arrived)(void))
{
    if (!uart_found)
        return;
    input_arrived = arrived;
    irq_route(COM1_IRQ, serial_interrupt);
    outb(COM1 + REG_IER, IER_RECEIVE);
}

int serial_receive(void)
{
    int byte = -1;
    spin_lock(&input_lock);
    if (input_head != input_tail)
        byte = (unsigned char)input[input_tail++ % INPUT_BYTES];
    if (input_paused && input_head - input_tail <= INPUT_BYTES / 2) {
        input_paused = false;
        outb(COM1 + REG_IER, IER_RECEIVE);
    }
    spin_unlock(&input_lock);
    return byte;
}
