# bash completion for doline(1), of what the program says of itself
_doline() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} line part='' name kind rest values=''
  local -a chain=() words=()
  for name in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $name == -* ]] || chain+=("$name"); done
  while IFS= read -r line; do
    if [[ $line != '  '[^\ ]* ]]; then
      [[ $line == ' '* ]] || part=$line
      continue
    fi
    read -r name kind rest <<<"$line"
    case $part in
      Subcommands:) words+=("$name") ;;
      Options:)
        words+=("--${name##*--}")
        [[ $previous == -* && ,$name, == *,"$previous",* && $kind =~ ^[A-Z|]+$ ]] || continue
        case $kind in
          FILE | FOLDER) return ;;  # bash's own completion
          TIME) values='1h 24h 7d today' ;;
          TYPE) values='A AAAA ANY CAA CNAME DNSKEY DS HTTPS MX NS NSEC PTR SOA SRV SVCB TXT' ;;
          VERDICT | PLATFORM | FORMAT)
            values=${rest%%;*} values=${values//[^a-z]/ }
            ;;
          *) values=' ' ;;
        esac
        ;;
    esac
  done < <("${COMP_WORDS[0]}" "${chain[@]}" --help 2>/dev/null)
  mapfile -t COMPREPLY < <(compgen -W "${values:-${words[*]}}" -- "$word")
}
complete -o default -F _doline doline
