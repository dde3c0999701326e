"""The boot archive: a ustar file (POSIX.1-2017, pax) that depends only on the files' names, modes and bytes."""
import os
import stat
import tarfile


class ArchiveError(Exception):
    pass


def _below(root):
    """{name in the archive: path} of all that is below `root`."""
    if not os.path.isdir(root):
        raise ArchiveError("%s is not a directory" % root)
    found = {}
    for directory, subdirectories, files in os.walk(root):
        for entry in subdirectories + files:
            path = os.path.join(directory, entry)
            found[os.path.relpath(path, root)] = path
    return found


def _member(name, path):
    """A tar header without owner and times; None for what cannot be in an archive."""
    info = tarfile.TarInfo(name)
    if path is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        return info
    status = os.lstat(path)
    info.mode = 0o755 if status.st_mode & 0o111 else 0o644
    if stat.S_ISDIR(status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
    elif stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    else:
        raise ArchiveError("%s is neither a file, a directory nor a symbolic link" % path)
    return info


def write(output, members, roots=(), base=None):
    """
    Writes `output` from {name: path} and from everything below each of `roots`; `base`, if given, is an archive
    whose members come first. The file appears only when it is complete.
    """
    entries = {}
    for name, path in list(members.items()) + [item for root in roots for item in _below(root).items()]:
        entries[name] = path
        while "/" in name:
            name = name.rpartition("/")[0]
            entries.setdefault(name, None)
    part = "%s.%d.part" % (output, os.getpid())
    try:
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
            if base:
                _copy(tar, base, entries)
            for name in sorted(entries):
                info = _member(name, entries[name])
                if info.isreg():
                    with open(entries[name], "rb") as file:
                        tar.addfile(info, file)
                else:
                    tar.addfile(info)
        os.replace(part, output)
    except (OSError, ValueError, tarfile.TarError) as error:
        raise ArchiveError(str(error)) from error
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _copy(tar, base, replaced):
    """The members of another archive, but for those that `replaced` has too."""
    with tarfile.open(base) as old:
        for info in old:
            if info.name not in replaced:
                tar.addfile(info, old.extractfile(info) if info.isreg() else None)
