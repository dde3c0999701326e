"""ISO images with GRUB for BIOS and UEFI, from boot/grub.cfg."""
import os
import shutil
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PLACEHOLDER = "@KERNEL_ARGUMENTS@"


class IsoError(Exception):
    pass


def _grub_words(line):
    """The kernel command line as words of GRUB's shell: what is special to it goes between single quotes."""
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in line.split(" ") if word)


def write(output, kernel, archive, append=""):
    tool = shutil.which("grub-mkrescue") or shutil.which("grub2-mkrescue")
    if not tool:
        raise IsoError("grub-mkrescue is not installed; `make deps` installs it, or says how")
    with open(os.path.join(TOP, "boot", "grub.cfg")) as file:
        config = file.read().replace(PLACEHOLDER, _grub_words(append))
    with tempfile.TemporaryDirectory(prefix="primer-iso-") as tree:
        grub = os.path.join(tree, "boot", "grub")
        os.makedirs(grub)
        shutil.copy(kernel, os.path.join(tree, "boot", "kernel.elf"))
        shutil.copy(archive, os.path.join(tree, "boot", "archive.tar"))
        with open(os.path.join(grub, "grub.cfg"), "w") as file:
            file.write(config)
        part = "%s.%d.part" % (output, os.getpid())
        # No fonts, themes, translations: the menu is never seen, and the image is made in a second.
        done = subprocess.run([tool, "--fonts=", "--themes=", "--locales=", "-o", part, tree], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode != 0:
            raise IsoError("%s failed:\n%s" % (tool, done.stdout))
        os.replace(part, output)
