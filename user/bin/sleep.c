/* Sleeps for some seconds. */
#include "user/lib/primer.h"

int main(int argc, char **argv)
{
    uint64_t seconds;
    if (argc != 2 || !parse_u64(argv[1], &seconds) || seconds > UINT64_MAX / NS_PER_S / 2) {
        print("usage: sleep SECONDS\n");
        return 2;
    }
    return primer_sleep(seconds * NS_PER_S) < 0;
}
