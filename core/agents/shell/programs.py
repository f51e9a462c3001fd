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
        (
            "asks for another user's rights",
            "sudo sudo-rs sudoedit su doas pkexec run0 runuser setpriv capsh newgrp sg gosu su-exec "
            "please machinectl",
        ),
        (
            "reaches for the sandbox itself",
            "mount umount chroot pivot_root unshare nsenter bwrap insmod modprobe rmmod mknod "
            "losetup mkfs swapon iptables nft ip setcap setenforce gdbserver",
        ),
        (
            "acts on the whole machine",
            "reboot shutdown halt poweroff systemctl service crontab at batch useradd usermod "
            "passwd systemd-run systemd-inhibit loginctl busctl dbus-send gdbus start-stop-daemon "
            "visudo chsh",
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
            "curl wget wget2 nc ncat netcat socat ssh scp sftp rsync ftp lftp ncftp tftp telnet "
            "mosh sshfs gh glab hub aws gcloud gsutil az kubectl helm terraform tofu pulumi ansible "
            "ansible-playbook heroku fly flyctl vercel netlify wrangler firebase aria2c axel http "
            "https xh curlie websocat grpcurl lynx w3m links elinks rclone s3cmd twine ping dig "
            "nslookup host traceroute whois nmap mail sendmail hg svn jj bzr fossil",
        ),
        (
            "starts containers",
            "docker podman nerdctl ctr buildah lxc docker-compose minikube kind vagrant qemu",
        ),
        (
            "changes how later words are read",
            "alias unalias shopt enable hash trap typeset declare local let readonly mapfile "
            "readarray getopts unset complete bind fc history setopt unsetopt autoload zmodload "
            "zcompile emulate",
        ),
        ("goes to a folder that is not known", "pushd popd"),
        (
            "writes files that its words do not name",
            "patch tar untar zip unzip 7z 7za rar unrar cpio bsdtar gunzip split csplit ar install",
        ),
        ("ends processes", "kill killall pkill skill fuser"),
        (
            "takes commands or code in words of its own",
            "psql mysql mariadb redis-cli mongo mongosh duckdb gnuplot julia ipython ipython3 "
            "bpython jupyter erl iex ts-node tsx jrunscript racket sbcl clisp ocaml ghc cling qjs "
            "coffee maxima matlab r kotlin man",
        ),
        (
            "starts commands that are not known",
            "parallel watch script flock strace ltrace tmux screen expect ssh-agent hyperfine entr "
            "nodemon concurrently npx bunx uvx pipx nix nix-shell ed ex vi view vim vimdiff rvim "
            "nvim emacs nano pico micro hx kak joe mc rlwrap unbuffer chronic faketime xvfb-run "
            "dbus-run-session fakeroot fakechroot proot firejail valgrind perf dumb-init tini "
            "run-parts watchexec systemd-cat catchsegv eatmydata sem rush",
        ),
    )
    for name in names.split()
}
TELLING = re.compile(
    r"(PATH|IFS|CDPATH|ENV|BASH_ENV|BASH_FUNC.*|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|HOME|SHELL|ZDOTDIR|LD_.*"
    r"|DYLD_.*|GIT_.*|.*PAGER|.*EDITOR|VISUAL|BROWSER|LESSOPEN|LESSCLOSE|PYTHONSTARTUP|PYTHONHOME|PYTHONINSPECT"
    r"|PYTHONBREAKPOINT|NODE_OPTIONS|PERL5?OPT|PERL5LIB|PERL5DB|RUBYOPT|RUBYLIB|.*_WRAPPER|RUSTC|MAKEFLAGS"
    r"|XDG_.*|SSH_.*|.*PROXY|ORCHARD_.*|GOFLAGS|GOENV|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS|NPM_.*"
    r"|YARN_.*|PNPM_.*|VIMINIT|EXINIT|LUA_INIT.*|TAR_OPTIONS|MANOPT|LESSKEY|OPENSSL_.*|GCONV_PATH|INPUTRC"
    r"|GLIBC_.*|DOTNET_STARTUP_HOOKS|CORECLR_.*|PSQLRC|SUDO_.*|CARGO_(BUILD|TARGET|ALIAS|HOME).*"
    r"|PIP_CONFIG_FILE|.*INDEX_URL)",
    re.IGNORECASE,
)
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash"})
# Others of their kind, and versions of them: bash5.2, bash-static, rzsh, ksh93, yash, osh.
LIKE_SHELLS = re.compile(r"[rlop]?(ba|da|z|k|mk|pdk|ok|a|ya|po|hu|sa|y|o)?sh([-.\d]+|-static|93)*")
# Compared with the words of programs that nobody here knows: where one is named, it may well be started.
STARTABLE = frozenset(
    name
    for line in (
        "git sh bash dash zsh ksh fish xargs sudo doas sudoedit curl wget ssh scp chroot unshare",
        "nsenter busybox orchard docker-compose systemctl git-push",
    )
    for name in line.split()
)
# Options by which many programs are told what to start.
STARTING = re.compile(
    r"--?(exec|exec-batch|toolexec|vettool|wrapper|eval|call|pager|to-command|rsh|on-change|run-command|shell-command|"
    r"script-shell|use-compress-program|checkpoint-action)(=.*)?|-X",
    re.DOTALL,
)
# Their words are names and texts, whatever these say.
TOLD_ONLY = frozenset(
    name
    for line in (
        "echo cat ls head tail wc grep egrep fgrep ag ack diff cmp comm cut tr tac nl column jq",
        "yq which whereis type whatis basename dirname realpath readlink file stat du df tree",
        "expr seq true false sleep date hostname pwd id whoami groups printenv uname nproc pgrep",
        "pidof ps md5sum sha1sum sha256sum sha512sum cksum base64 hexdump od strings paste join",
        "fold fmt rev look apt-cache dpkg rpm brew apt apt-get pip pip3 bat less more pytest",
        "py.test",
    )
    for name in line.split()
)
# Subcommands that publish. The programs are those that publish packages.
PUBLISHING = frozenset(
    name
    for line in ("publish deploy push unpublish yank release deprecate dist-tag owner",)
    for name in line.split()
)
PUBLISHERS = frozenset(
    name
    for line in (
        "npm pnpm yarn bun cargo poetry uv hatch pdm flit gem mvn mvnw gradle gradlew lerna",
        "dotnet nuget conda lein vsce ovsx jsr mix dart flutter pub composer helm snapcraft",
    )
    for name in line.split()
)
OTHER_SHELLS = frozenset({"fish", "csh", "tcsh", "nu", "xonsh", "elvish"})
