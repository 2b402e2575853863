"""What a desktop needs to know of .bf files: their type, how to draw thumbnails of them, and how `file` names them.

Everything lies in the user's own folders (XDG Base Directory): a shared-mime-info package, a freedesktop thumbnailer
and a block of lines in ~/.magic. `install` writes it, `remove` takes away just that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..codecs.container import MAGIC
from ..codecs.media.files import write_bytes
from ..codecs.registry import CODECS

PICTURE, SOUND, OTHER = "image/x-bitfloor", "audio/x-bitfloor", "application/x-bitfloor"
_CODEC_ID_AT = len(MAGIC) + 1  # after the magic and the format's version
_BEGIN, _END = "# >>> bitfloor >>>", "# <<< bitfloor <<<"
_MIME_OF_KIND = {"picture": PICTURE, "sound": SOUND}


def data_home() -> Path:
    """$XDG_DATA_HOME, or ~/.local/share."""
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if given else Path.home() / ".local" / "share"


def magic_path() -> Path:
    """Where `file` looks for the user's own rules."""
    return Path.home() / ".magic"


def install() -> list[str]:
    """Write everything; return a line for each thing done or left undone."""
    said = []
    for path, text in _files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(text.encode(), path, overwrite=True)
        said.append(f"{path}")
    before = _without_block(_read(magic_path()))
    _write_magic(before + _magic_block())
    said.append(f"{magic_path()} (a block of lines)")
    return said + _refresh()


def remove() -> list[str]:
    """Take away what `install` wrote; return a line for each thing done."""
    said = []
    for path in _files():
        if path.exists():
            path.unlink()
            said.append(f"{path}")
    before = _read(magic_path())
    after = _without_block(before)
    if after != before:
        if after.strip():
            _write_magic(after)
        else:
            magic_path().unlink()
        said.append(f"{magic_path()} (its block of lines)")
    return said + (_refresh() if said else [])


def mime_package() -> str:
    """The shared-mime-info package: a type for pictures, one for sounds, one for all other .bf files."""
    magic = "".join(f"\\x{byte:02x}" for byte in MAGIC)
    parts = []
    for mime, words in ((PICTURE, "bitfloor picture"), (SOUND, "bitfloor sound")):
        ids = [entry.codec_id for entry in CODECS if _MIME_OF_KIND.get(entry.kind) == mime]
        matches = "".join(
            f'<match type="string" offset="0" value="{magic}">'
            f'<match type="byte" offset="{_CODEC_ID_AT}" value="{number}"/></match>'
            for number in ids
        )
        parts.append(
            f'  <mime-type type="{mime}"><comment>{words}</comment><sub-class-of type="{OTHER}"/>'
            f'<magic priority="60">{matches}</magic><glob pattern="*.bf" weight="50"/></mime-type>'
        )
    parts.append(
        f'  <mime-type type="{OTHER}"><comment>bitfloor file</comment>'
        f'<magic priority="50"><match type="string" offset="0" value="{magic}"/></magic></mime-type>'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">\n'
        + "\n".join(parts)
        + "\n</mime-info>\n"
    )


def thumbnailer(program: str) -> str:
    """The freedesktop thumbnailer entry that runs `program`; -f: file managers make the file first, or renew one."""
    return (
        f"[Thumbnailer Entry]\nTryExec={program}\nExec={program} thumbnail -f --size %s -- %i %o\nMimeType={PICTURE};\n"
    )


def _files() -> dict[Path, str]:
    program = shutil.which("bitfloor") or "bitfloor"
    return {
        data_home() / "mime" / "packages" / "bitfloor.xml": mime_package(),
        data_home() / "thumbnailers" / "bitfloor.thumbnailer": thumbnailer(program),
    }


def _magic_block() -> str:
    """Rules of file(1): the kind by the codec's id, then the version of the format."""
    number = int.from_bytes(MAGIC, "big")
    lines = [_BEGIN, f"0\tubelong\t0x{number:08X}\tbitfloor"]
    for entry in CODECS:
        mime = _MIME_OF_KIND.get(entry.kind, OTHER)
        lines += [f">{_CODEC_ID_AT}\tubyte\t{entry.codec_id}\t{entry.kind} ({entry.name})", f"!:mime\t{mime}"]
    return "\n".join([*lines, f">{len(MAGIC)}\tubyte\tx\t\\b, format version %u", _END]) + "\n"


def _without_block(text: str) -> str:
    """The text without our block; all other lines as they are."""
    return "".join(_outside(text.splitlines(keepends=True)))


def _outside(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        inside = inside or line.strip() == _BEGIN
        if not inside:
            yield line
        inside = inside and line.strip() != _END


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""


def _write_magic(text: str) -> None:
    write_bytes(text.encode("utf-8", errors="surrogateescape"), magic_path(), overwrite=True)


def _refresh() -> list[str]:
    """Have the desktop's database of types made anew, where there is one."""
    program = shutil.which("update-mime-database")
    if program is None:
        return ["update-mime-database is not installed: types are known once it has run"]
    done = subprocess.run([program, str(data_home() / "mime")], capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"update-mime-database: {done.stderr.strip().splitlines()[-1]}"]
