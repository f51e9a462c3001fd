"""What a shell line of an agent would do, read as shells read it and judged against a role's rights.

    word_reader, line_reader   a text to a `Line` (of `line`), or Unparsable
    judge                      a `Line`, command by command; asks the rules below and follows what they start
    programs                   names: refused, asked about, publishing, told only; and variables that steer
    program_rules              what a program does with its words: add a function and its row in RULES
    interpreter_rules          python, node and the like, and the code in their words
    git_rules                  git
    wrappers                   programs that start the program named in their words: add a row in WRAPPERS

A new rule is a name in `programs`, where the name says all, else a function in `program_rules`.
"""
