#!/bin/sh
# The manual page: doline.1 and, in the place of its line `.COMMANDS`, what the program says of each command.
# manual.sh PROGRAM
set -eu
program=$1 page=$(dirname "$0")/doline.1

# to_page WORD...: a command's help as mdoc.
to_page() {
  awk -v command="$*" '
    function plain(text) { gsub(/\\/, "\\e", text); gsub(/-/, "\\-", text); if (text ~ /^[.'\'']/) text = "\\\\&" text; return text }
    function end() { if (mode != "" && has_begun) print (mode == "list" ? ".El" : ".Ed"); mode = ""; has_begun = 0 }
    NR == 1 { print ".Ss doline " command; print plain($0) "."; next }
    /^Usage: / { sub(/^Usage: [^ ]*/, "doline"); print ".Pp\n.Dl " plain($0); next }
    /^(Positionals|Options|Subcommands):$/ { end(); mode = "list"; next }
    mode == "list" && /^$/ { end(); next }
    mode == "list" && /^   / { sub(/^ +/, ""); print plain($0); next }
    mode == "list" {
      if ($1 == "-h,--help") next
      if (!has_begun++) print ".Bl -tag -width Ds"
      at = match($0, /[^ ]  +/)
      print ".It Sy \"" plain(at ? substr($0, 3, at - 2) : substr($0, 3)) "\""
      if (at) print plain(substr($0, at + RLENGTH))
      next
    }
    mode == "" && /^$/ { next }
    mode == "" { mode = "text"; has_begun = 1; print ".Bd -literal" }
    { print plain($0) }
    END { end() }'
}

describe() {
  help=$("$program" "$@" --help)
  [ $# -eq 0 ] || printf '%s\n' "$help" | to_page "$@"
  for command in $(printf '%s\n' "$help" | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    describe "$@" "$command"
  done
}

sed '/^\.COMMANDS$/,$d' "$page"
describe
sed '1,/^\.COMMANDS$/d' "$page"
