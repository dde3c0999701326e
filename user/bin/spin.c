/* Keeps a CPU busy, forever or for some seconds: something to look at with `ps`, and to kill. */
#include "user/lib/primer.h"

int main(int argc, char **argv)
{
    uint64_t seconds = UINT64_MAX / NS_PER_S / 2;
    if (argc > 2 || (argc == 2 && (!parse_u64(argv[1], &seconds) || seconds > UINT64_MAX / NS_PER_S / 2))) {
        print("usage: spin [SECONDS]\n");
        return 2;
    }
    uint64_t end = primer_clock() + seconds * NS_PER_S;
    while (primer_clock() < end) {
        for (volatile int i = 0; i < 100000; i++)
            ;
    }
    return 0;
}
