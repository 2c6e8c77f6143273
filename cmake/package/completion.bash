# bash completion for doline(1)
_doline() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  local words=
  if ((COMP_CWORD == 1)); then
    words='run check explain log devices status limits version redirect'
  else
    case $previous in
      --config | --state | check) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
      --type) words='A AAAA ANY CAA CNAME DNSKEY DS HTTPS MX NS NSEC PTR SOA SRV SVCB TXT' ;;
      --verdict) words='forward block nxdomain nodata refuse drop rewrite' ;;
      --since | --until) words='10m 1h 24h 7d 30d' ;;
      *)
        case $command in
          run) words='--config --port --state --help' ;;
          log) words='--config --device --group --name --type --verdict --client --meant-for --intercepted --answer --since --until --limit --follow --json' ;;
          devices | status | explain) words='--config --json' ;;
          redirect) ((COMP_CWORD == 2)) && words='plan apply status verify remove' || words='--config' ;;
        esac
        ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o filenames -F _doline doline
