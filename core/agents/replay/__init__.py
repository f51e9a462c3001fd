"""The replay agent: an ACP agent program that plays a recorded session from a YAML (or JSON) file.

    python -m core.agents.replay --script FILE          or, where only this folder is to be seen,
    python -I /path/to/core/agents/replay --script FILE

It needs the standard library and PyYAML (a `.json` script needs no PyYAML), and no other part of
Orchard. It is an honest stand-in for demos and tests: each text that it says begins with `[replay]`.

A script:

    ask: [execute]              # kinds of tool call that ask permission first (edit, delete, execute, ...)
    sessions: resume            # fork (and resume) | resume (and load) | load | none. Default resume
    initialize: {protocolVersion: 1}    # changes its answer to `initialize`
    start: [...]                # steps before `initialize` is answered: sleep, exit, hang, flood, garbage ...
    stories:
      "demo-1":                 # a story's id, or its title in any case, or "*" for any other story
        test_red:               # a phase, `epic` for an epic's design, or "*" for any other
          - - say: First attempt.               # attempts; the last one repeats
            - write: {path: tests/test_a.py, text: "..."}
          - - say: Second attempt.
        code_green:
          - write: {path: a.py, text: "..."}    # a list of steps alone is the only attempt

Story, title, phase and attempt come from the first lines of the prompt:

    Orchard-Story: <id>      Orchard-Title: <title>      Orchard-Phase: <phase>      Orchard-Attempt: <n>

A step is a mapping with one key. Paths are relative to the session's folder.

    say: TEXT | {text, split: true}      split: the bytes are written one by one
    think: TEXT
    plan: [TEXT, ...]
    usage: {input, output, cost, used, size}
    read: PATH
    write: {path, text | base64, executable: true}
    append: {path, text}
    replace: {path, old, new}            a script error when `old` is not there exactly once
    delete: PATH
    spec: TEXT                           writes .orch-state/stories/<story>.md: a spec, an epic's proposals
    files: {PATH: TEXT | {base64} | {text, executable} | null, ...}     null deletes
    patch: UNIFIED DIFF                  by `git apply`
    run: COMMAND | {command: TEXT or [words], timeout_seconds, ask: true}
    ask: {title, kind, command, paths, options: [{id, name, kind}], bare: true, then: [...], else: [...]}
                                         bare: title and kind only in the tool call before, not in the request
    sleep: SECONDS
    when: CONDITION, then: [...], else: [...]       the one step with three keys
          [not] feedback|steering|prompt|title contains "x"      [not] resumed
    steered: true | {seconds, then: [...], else: [...]}
                                         waits until a person steers the turn, then plays `then`, where
                                         `when: steering contains "x"` can choose; `else` when nobody did
                                         in time. Any steered turn goes on with the steps that were left
    client_write: {path, text}           by `fs/write_text_file`, as one agent does
    client_read: PATH
    send: {...}                          a message as it is; "$SESSION" stands for the session's id
    error: {code, message, data} | TEXT  ends the turn with a JSON-RPC error
    end: REASON                          end_turn (the default at the last step), max_tokens, refusal, ...

Troubles of honest agents:

    limit: TEXT | {text, seconds, times, error: true}
                                         a usage limit: TEXT is its last word, and the turn ends. With
                                         `seconds`, "|<epoch>" of the reset so far ahead follows. Only the
                                         first `times` plays of the story's phase run into it. `error`: by a
                                         JSON-RPC error
    silent: SECONDS | {seconds, deaf: true, busy: true}
                                         shows nothing for so long. `deaf`: not even a cancel ends it;
                                         `busy`: it uses the processor meanwhile

Lies and faults, for tests:

    write_outside: {path, text}          says nothing of it; any path
    commit: MESSAGE | {message, branch}  `git add -A` and `git commit`; says nothing of it
    spawn_daemon: COMMAND | {command, keep_stdout: true}     in a session of its own, orphaned
    exit: CODE                           in the middle of everything
    crash: true                          SIGKILL of itself
    hang: true | {ignore: [cancel, eof, term], seconds}      what is ignored; all three when not said
    flood: {updates, stdout_bytes, stderr_bytes, line_bytes}
    garbage: true | [LINE, ...]          lines that are no messages
"""
