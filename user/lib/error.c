/* Names and words for the kernel's error numbers, from the one list in kernel/abi.h. */
#include "user/lib/primer.h"

struct error { const char *name, *text; };

static const struct error errors[] = {
#define X(name, number, text) [number] = {#name, text},
    PRIMER_ERRORS(X)
#undef X
};

static const struct error *find(status_t status)
{
    static const struct error none = {"no error", "it worked"};
    static const struct error unknown = {"E_?", "an error number without a name"};
    if (status >= 0)
        return &none;
    if (status <= -(status_t)ARRAY_SIZE(errors) || !errors[-status].name)
        return &unknown;
    return &errors[-status];
}

const char *primer_error_name(status_t status) { return find(status)->name; }
const char *primer_error_text(status_t status) { return find(status)->text; }

status_t primer_must(status_t status, const char *what)
{
    if (status < 0) {
        print("%s failed: %s (%s)\n", what, primer_error_name(status), primer_error_text(status));
        primer_exit(1);
    }
    return status;
}

void *primer_must_map(uint64_t len)
{
    return (void *)primer_must(primer_vm_map(PRIMER_SELF, 0, len, PRIMER_PROT_READ | PRIMER_PROT_WRITE, 0),
                               "mapping memory");
}
