/*
 * Copy-on-write: after a fork both tasks have the same frames, and only who writes pays for a copy. The
 * child writes first and gets one; the parent then finds that nobody else has the old frame, and keeps it.
 */
#include "user/lib/primer.h"

enum { NOT_YET, WRITTEN, MAY_END };

struct shared_page {
    _Atomic uint32_t stage;             /* of this task's own copy: writing it is a copy-on-write fault, too */
    char text[64];
};

static void child(struct shared_page *page)
{
    print("Child: at %p I read \"%s\", from the parent's frame. Now I write there.\n\n", (void *)page, page->text);
    uint64_t since = primer_rdtsc();
    page->text[0] = 'C';
    if (!primer_story(page, since))
        print("The trace has nothing on it: the ring was overwritten meanwhile.\n");
    format(page->text, sizeof(page->text), "Child's words");
    print("\nChild: now it says \"%s\". I stay alive until the parent has looked.\n", page->text);
    print_flush();
    page->stage = WRITTEN;
    while (page->stage != MAY_END)      /* the parent sets it from outside, with vm_write */
        primer_sleep(NS_PER_MS);
}

int main(void)
{
    struct shared_page *page = primer_must_map(PAGE_SIZE);
    format(page->text, sizeof(page->text), "Parent's words");
    print("Parent: at %p I have written \"%s\". Now I fork.\n", (void *)page, page->text);

    status_t task = primer_must(primer_fork(), "fork");
    if (task == 0) {
        child(page);
        return 0;
    }

    /*
     * The child cannot tell us by writing to memory: what it writes is its own. So we look into its memory.
     */
    struct shared_page theirs = {.stage = NOT_YET};
    while (theirs.stage != WRITTEN) {
        primer_sleep(NS_PER_MS);
        primer_must(primer_vm_read((uint64_t)task, (vaddr_t)page, &theirs, sizeof(theirs)), "looking into the child");
        if (primer_wait((uint64_t)task, 0) != E_TIMEOUT) {
            print("Parent: the child has ended too early.\n");
            return 1;
        }
    }
    print("Parent: at the same address the child has \"%s\", and I have \"%s\": two frames.\n", theirs.text, page->text);

    print("Now I write, too. For me the page is still copy-on-write, but I am the last one who has it:\n\n");
    uint64_t since = primer_rdtsc();
    page->text[0] = 'P';
    if (!primer_story(page, since))
        print("The trace has nothing on it: the ring was overwritten meanwhile.\n");

    theirs.stage = MAY_END;
    primer_must(primer_vm_write((uint64_t)task, (vaddr_t)&page->stage, &theirs.stage, sizeof(theirs.stage)),
                "telling the child");
    status_t status = primer_must(primer_wait((uint64_t)task, PRIMER_FOREVER), "waiting for the child");
    print("\nParent: the child has ended, status %ld.\n", status);
    return (int)status;
}
