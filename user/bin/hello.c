/* Says hello, and what it was called with. A place to start one's own first program from. */
#include "user/lib/primer.h"

int main(int argc, char **argv)
{
    print("Hello from Primer! I am %s", argv[0]);
    for (int i = 1; i < argc; i++)
        print("%s%s", i == 1 ? ", called with: " : " ", argv[i]);
    print("\n");
    return 0;
}
