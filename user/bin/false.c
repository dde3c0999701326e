/* The second smallest: it ends with status 1. */
int main(void)
{
    return 1;
}
