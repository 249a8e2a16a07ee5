"""Makes a node start with the PC and puts a shortcut where its user looks for it.

Linux: a systemd user unit and a desktop entry. Windows: a script in the user's start-up folder and
one on the desktop.
"""

import shlex
import subprocess
import sys
from pathlib import Path

from consortium.cli.app import language
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.system import user_places
from consortium.settings import Settings
from consortium.words import say

_UNIT = """[Unit]
Description=Sharing Chain node
After=network-online.target

[Service]
ExecStart={python} -m consortium.cli serve --home {home}
Restart=always
RestartSec=5

[Install]
WantedBy=default.target
"""
_ENTRY = """[Desktop Entry]
Type=Application
Name={name}
Exec={python} -m consortium.cli open --home {home}
Terminal=false
Categories=Office;
"""
_SCRIPT = '@echo off\r\nstart "" /b "{python}" -m consortium.cli {act} --home "{home}"\r\n'


def install(settings: Settings) -> list[Path]:
    """Write the start-up file and the shortcut; gives their places. Writing again changes nothing.

    Raises:
        Refusal: `system.no_autostart` on a system that neither way fits.
    """
    places = user_places()
    if places is None:
        raise Refusal(RefusalKind.UNSUPPORTED, "system.no_autostart")
    name = f"sharing-chain-{settings.port}"
    if sys.platform == "win32":
        python = Path(sys.executable).with_name("pythonw.exe")
        files = {
            places.autostart / f"{name}.cmd": _SCRIPT.format(
                python=python, act="serve", home=settings.home
            ),
            places.desktop / f"{say('shell.product', language())}.cmd": _SCRIPT.format(
                python=python, act="open", home=settings.home
            ),
        }
    else:
        python_word, home = shlex.quote(sys.executable), shlex.quote(str(settings.home))
        entry = _ENTRY.format(name=say("shell.product", language()), python=python_word, home=home)
        files = {
            places.autostart / f"{name}.service": _UNIT.format(python=python_word, home=home),
            places.menu / f"{name}.desktop": entry,
            places.desktop / f"{name}.desktop": entry,
        }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if path.suffix == ".desktop" else 0o644)
    if sys.platform != "win32":
        _enable(f"{name}.service")
    return list(files)


def _enable(unit: str) -> None:
    """Tell systemd; where no user session runs it, it finds the unit at the next sign-in."""
    for arguments in (("daemon-reload",), ("enable", unit)):
        try:
            subprocess.run(  # noqa: S603 - fixed arguments
                ["systemctl", "--user", *arguments],  # noqa: S607 - wherever the system has it
                check=False,
                capture_output=True,
                timeout=20,
            )
        except (OSError, subprocess.TimeoutExpired):
            return
