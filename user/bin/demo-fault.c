/*
 * The life of a page, seen from the program that touches it: maps some memory, touches one page after the
 * other, and for the first one tells what the kernel's trace recorded.
 */
#include "user/lib/primer.h"

#define PAGES 8

int main(void)
{
    volatile char *memory = primer_must_map(PAGES * PAGE_SIZE);
    print("I have mapped %d pages at %p. That took no memory yet: the kernel only noted that the range means\n"
          "\"zeroes, when somebody asks\". Now I write one byte to the first page.\n\n", PAGES, (void *)memory);

    uint64_t since = primer_rdtsc();
    memory[0] = 'x';
    uint64_t took = primer_rdtsc() - since;
    if (!primer_story((const void *)memory, since))
        print("The trace has nothing on it: the ring was overwritten meanwhile. Run me again.\n");

    print("\nFor me that was one instruction; it took ");
    primer_print_us(took);
    print(" us. Byte 0 is '%c' as I wrote it, byte 1 is %d: nobody else's old data.\n", memory[0], memory[1]);

    print("\nThe same for the other pages, one after the other:\n");
    for (int i = 1; i < PAGES; i++) {
        since = primer_rdtsc();
        memory[i * PAGE_SIZE] = 'x';
        took = primer_rdtsc() - since;
        print("  page %d: ", i);
        primer_print_us(took);
        print(" us\n");
    }
    since = primer_rdtsc();
    memory[0] = 'y';
    took = primer_rdtsc() - since;
    print("and once more the first one, which is there already: ");
    primer_print_us(took);
    print(" us\n");
    return 0;
}
