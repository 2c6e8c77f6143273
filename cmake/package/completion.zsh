#compdef doline
# zsh completion for doline(1), of what the program says of itself
local line part name kind rest values
local -a chain commands options
for name in ${words[2,CURRENT-1]}; do [[ $name == -* ]] || chain+=($name); done
for line in "${(@f)$($words[1] $chain --help 2>/dev/null)}"; do
  if [[ $line != '  '[^\ ]* ]]; then
    [[ $line == ' '* ]] || part=$line
    continue
  fi
  read -r name kind rest <<<$line
  case $part in
    Subcommands:) commands+=("$name:$kind $rest") ;;
    Options:)
      options+=("--${name##*--}")
      [[ $words[CURRENT-1] == -* && ,$name, == *,$words[CURRENT-1],* && $kind =~ '^[A-Z|]+$' ]] || continue
      case $kind in
        FILE) _files; return ;;
        FOLDER) _files -/; return ;;
        TIME) values='1h 24h 7d today' ;;
        TYPE) values='A AAAA ANY CAA CNAME DNSKEY DS HTTPS MX NS NSEC PTR SOA SRV SVCB TXT' ;;
        VERDICT|PLATFORM|FORMAT) values=${${rest%%;*}//[^a-z]/ } ;;
        *) return ;;
      esac
      compadd -- ${=values}
      return
      ;;
  esac
done
if [[ $words[CURRENT] == -* ]]; then
  compadd -- $options
elif (($#commands)); then
  _describe command commands
else
  _files
fi
