"""Programs by name, and variables, that a command line is judged by. PURE.

The names are compared whole, in small letters, without a folder.
"""

from __future__ import annotations

import re

RUNNERS = {
    **dict.fromkeys(
        ("uv", "poetry", "pipenv", "hatch", "pdm", "rye", "conda", "mamba", "coverage"), ("run",)
    ),
    **dict.fromkeys(("bundle", "direnv", "npm", "pnpm", "yarn", "mise", "asdf"), ("exec", "x", "dlx")),
}
DENIED = {
    name: reason
    for reason, names in (
        ("asks for another user's rights", "sudo su doas pkexec run0 runuser setpriv capsh newgrp sg"),
        (
            "reaches for the sandbox itself",
            "mount umount chroot pivot_root unshare nsenter bwrap insmod modprobe rmmod mknod losetup mkfs "
            "swapon iptables nft ip setcap setenforce gdbserver",
        ),
        (
            "acts on the whole machine",
            "reboot shutdown halt poweroff systemctl service crontab at batch useradd usermod passwd",
        ),
        ("is Orchard's own, for people", "orchard"),
    )
    for name in names.split()
}
ASKED = {
    name: reason
    for reason, names in (
        (
            "reaches out to the network",
            "curl wget nc ncat netcat socat ssh scp sftp rsync ftp tftp telnet gh glab hub aws gcloud az "
            "kubectl",
        ),
        ("starts containers", "docker podman nerdctl ctr buildah lxc"),
        (
            "changes how later words are read",
            "alias unalias shopt enable hash trap typeset declare local let readonly mapfile readarray "
            "getopts unset complete bind fc history setopt unsetopt autoload zmodload zcompile emulate",
        ),
        ("goes to a folder that is not known", "pushd popd"),
        (
            "writes files that its words do not name",
            "patch tar untar unzip 7z cpio bsdtar gunzip split csplit ar install",
        ),
        (
            "starts commands that are not known",
            "parallel watch script flock strace ltrace tmux screen expect ssh-agent hyperfine entr nodemon "
            "concurrently npx bunx uvx pipx nix-shell ed ex vi vim nvim emacs nano",
        ),
    )
    for name in names.split()
}
TELLING = re.compile(
    r"(PATH|IFS|CDPATH|ENV|BASH_ENV|BASH_FUNC.*|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|HOME|SHELL|ZDOTDIR|LD_.*"
    r"|DYLD_.*|GIT_.*|.*PAGER|.*EDITOR|VISUAL|BROWSER|LESSOPEN|LESSCLOSE|PYTHONSTARTUP|PYTHONHOME|PYTHONINSPECT"
    r"|PYTHONBREAKPOINT|NODE_OPTIONS|PERL5?OPT|PERL5LIB|PERL5DB|RUBYOPT|RUBYLIB|.*_WRAPPER|RUSTC|MAKEFLAGS"
    r"|XDG_.*|SSH_.*|.*PROXY|ORCHARD_.*)",
    re.IGNORECASE,
)
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash"})
OTHER_SHELLS = frozenset({"fish", "csh", "tcsh", "nu", "xonsh", "elvish"})
