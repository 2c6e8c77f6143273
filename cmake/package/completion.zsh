#compdef doline
# zsh completion for doline(1)
local -a commands filters
commands=(
  'run:serve, in the foreground'
  'check:judge a configuration'
  'explain:what would happen to a query, and why'
  'log:show what was asked'
  'devices:every device that was seen'
  'status:what the running Doline does'
  'limits:every limit that is built in'
  'version:the version'
  'redirect:plan, begin, verify and end interception'
)
filters=(
  '--config[the configuration]:file:_files'
  '--device[who asked]:device:' '--group[who asked]:group:'
  '--name[what was asked, with the names below it]:name:' '--type[what was asked]:type:(A AAAA ANY CAA CNAME DS HTTPS MX NS PTR SOA SRV SVCB TXT)'
  '--verdict[what happened]:verdict:(forward block nxdomain nodata refuse drop rewrite)'
  '--client[the address it was asked from]:address:' '--meant-for[the resolver it meant to ask]:address:'
  '--answer[answered with this address]:address:'
  '--since[a duration or a time]:time:(10m 1h 24h 7d 30d)' '--until[a duration or a time]:time:'
  '--follow[go on with new queries]' '--json[one object a line]'
)
if ((CURRENT == 2)); then
  _describe command commands
  return
fi
case $words[2] in
  run) _arguments '--config[the configuration]:file:_files' '--port[listen on this port]:port:' '--state[what Doline writes]:folder:_files -/' ;;
  check) _files ;;
  log) _arguments $filters ;;
  redirect) ((CURRENT == 3)) && _values action plan apply status verify remove || _arguments '--config[the configuration]:file:_files' ;;
  *) _arguments '--config[the configuration]:file:_files' '--json[machine-readable]' ;;
esac
