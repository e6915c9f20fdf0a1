# Runs commands in a pod for one exec stream. Evaluated by the image's own sh (dash, busybox, bash) after _dir, the directory
# for its state, and _epoch, a name for this stream, were set. A short command costs the processes that it consists of, the
# setsid that leads its process group, and the head that sends its output; all else is done by builtins.
#
# stdin:  requests, a line each, some with lines or bytes after them (see requests.py)
# stdout: outputs of one command at a time, as the driver asks for them
# stderr: events, a line each, short enough to be written at once
#
# Of the command ID, o.ID and e.ID are its output (names are fresh, because a process that an earlier command left behind may
# still write to its own files), and s.ID is how far it is: claim | run GROUP | end CODE OOMS EMPTY MARK | void.
# A stream that was cut off may still have requests in its pipe. Each command is claimed first and the epoch read after, and a
# new stream writes the epoch first and reads claims after: one of the two sees the other, so nothing is run twice.

_umask=$(umask)
umask 077
mkdir -p "$_dir" 2>/dev/null
printf '%s\n' "$_epoch" 2>/dev/null >"$_dir/epoch" || { printf 'X state\n' >&2; exit 1; }
umask "$_umask"
exec 3>&1 4>&2 >/dev/null 2>/dev/null
command -v setsid || { printf 'X setsid\n' >&4; exit 1; }
command -v head || { printf 'X head\n' >&4; exit 1; }
_locale=${LC_ALL-} _ooms=0 _fullblock= _mine=
LC_ALL=C
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2

_count_ooms() {
  for _file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ ! -r "$_file" ] || while read -r _key _value; do [ "$_key" != oom_kill ] || _ooms=$_value; done <"$_file"
  done
}

_lines() { # COUNT: lines of stdin, joined, to _text
  _text= _left=$1
  while [ "$_left" -gt 0 ]; do
    IFS= read -r _line || return
    _left=$((_left - 1))
    _text=$_text$_line
    [ "$_left" -eq 0 ] || _text="$_text
"
  done
}

_take() { # COUNT FILE: bytes of stdin
  : >"$2" || return
  if [ -z "$_fullblock" ]; then
    _fullblock=no
    [ "$( (printf 1; sleep 0.05; printf 2) | dd bs=2 count=1 iflag=fullblock)" != 12 ] || _fullblock=yes
  fi
  if [ $_fullblock = yes ]; then
    [ "$1" -lt 65536 ] || dd bs=65536 count=$(($1 / 65536)) iflag=fullblock >>"$2"
    [ $(($1 % 65536)) -eq 0 ] || dd bs=$(($1 % 65536)) count=1 iflag=fullblock >>"$2"
    [ "$(wc -c <"$2")" -eq "$1" ]
    return
  fi
  _had=0
  while [ "$_had" -lt "$1" ]; do
    _left=$(($1 - _had))
    [ $_left -le 65536 ] || _left=65536
    dd bs=$_left count=1 >>"$2"
    _now=$(wc -c <"$2")
    [ "$_now" -gt "$_had" ] || return
    _had=$_now
  done
}

_send() { # LIMIT: what the command wrote, each stream with the line that ended it
  exec head -q -c "$1" "$_dir/o.$_id" "$_dir/s.$_id" "$_dir/e.$_id" "$_dir/s.$_id" >&3
}

_waiter() { # runs the command, in a process of its own
  trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
  LC_ALL=$_locale
  [ -n "$_locale" ] || unset LC_ALL
  _code=
  : >"$_dir/o.$_id"
  eval "$_prologue" 2>"$_dir/e.$_id"
  if [ -z "$_code" ]; then
    setsid /bin/sh -c "$_script" sh <"$_in" >"$_dir/o.$_id" 2>"$_dir/e.$_id" 3>&- 4>&- &
    _group=$!
    printf 'run %s\n' $_group >"$_dir/s.$_id"
    while wait $_group; _code=$?; [ $_code -gt 128 ] && kill -0 $_group; do :; done
  fi
  [ "$_code" -eq 0 ] || _count_ooms
  _empty=0
  [ -s "$_dir/o.$_id" ] || [ -s "$_dir/e.$_id" ] || _empty=1
  printf 'end %s %s %s %s\n' "$_code" "$_ooms" $_empty "$_mark" >"$_dir/s.$_id"
  printf 'D %s %s %s %s\n' "$_id" "$_code" "$_ooms" $_empty >&4
  [ "$_push$_empty" != 10 ] || _send "$_limit"
}

_state() { # of the command, to _is, _a, _b and _c
  for _try in 1 2 3; do
    _is=none _a= _b= _c=
    [ -e "$_dir/s.$_id" ] || return
    read -r _is _a _b _c _ <"$_dir/s.$_id" && return
  done
  _is=claim # somebody is writing it: whatever it will say, the command is known here
}

_follow() { # a command of an earlier stream, to its end
  _count=0
  while _state; [ $_is = claim ] || [ $_is = run ]; do
    _count=$((_count + 1))
    [ $_is != run ] || ! kill -0 "-$_a" || _count=0
    [ $_count -lt 40 ] || { printf 'L %s\n' "$_id" >&4; return; }
    sleep 0.05
  done
  if [ $_is = end ]; then printf 'D %s %s %s %s\n' "$_id" "$_a" "$_b" "$_c" >&4; else printf 'N %s\n' "$_id" >&4; fi
}

_kill() { # the command's group
  _count=0
  while _state; [ $_is = claim ] && [ $_count -lt 100 ]; do _count=$((_count + 1)); sleep 0.02; done
  [ $_is != run ] || kill -9 "-$_a"
}

_tick() { # is the command waited for, and does its output have no more than was asked for, twice, and what comes between two ticks
  eval "_w=\${_waiter_$_id-0} _keep=\${_keep_$_id-}"
  [ -n "$_keep" ] || return
  [ "$_keep" -ge 65536 ] || _keep=65536
  _state
  [ $_is = run ] || return
  if ! kill -0 "$_w" && ! kill -0 "-$_a"; then
    _state
    [ $_is != run ] || printf 'L %s\n' "$_id" >&4
  fi
  for _file in "$_dir/o.$_id" "$_dir/e.$_id"; do
    _size=$(wc -c <"$_file") && [ "$_size" -gt $((_keep * 2)) ] && fallocate -p -o "$_keep" -l $((_size - _keep * 2)) "$_file"
  done
}

_drop() { # IDs: whose results have arrived
  _kept=
  for _id in $_mine; do
    case " $* " in *" $_id "*) unset "_waiter_$_id" "_until_$_id" "_keep_$_id" ;; *) _kept="$_kept $_id" ;; esac
  done
  _mine=$_kept _files=
  for _id in "$@"; do _files="$_files o.$_id e.$_id s.$_id i.$_id"; done
  (cd "$_dir" && exec rm -f $_files) &
}

_ends() { # nobody listens any more: commands go on to their time limits
  while jobs; read -r _now _ </proc/uptime; do
    _alive=
    for _id in $_mine; do
      eval "_w=\$_waiter_$_id _until=\$_until_$_id"
      kill -0 "$_w" || continue
      _alive=1
      [ "${_now%.*}" -le "$_until" ] || _kill
      _tick
    done
    [ -n "$_alive" ] || return
    sleep 1
  done
}

_count_ooms
printf 'R %s %s\n' "$_epoch" "$_ooms" >&4
while read -r _request _id _1 _2 _3 _4 _5 _6 _7; do
  case $_request in
    put) # COUNT, then as many bytes: the stdin of ID
      _take "$_1" "$_dir/i.$_id" || { printf 'F %s\n' "$_id" >&4; break; }
      ;;
    run) # MARK LIMIT PUSH TIMEOUT STDIN LINES_OF_PROLOGUE LINES_OF_SCRIPT, then those lines
      _mark=$_1 _limit=$_2 _push=$_3 _in=/dev/null
      [ "$_5" = 0 ] || _in=$_dir/i.$_id
      _lines "$_6" || break
      _prologue=$_text
      _lines "$_7" || break
      _script=$_text
      printf 'claim\n' >"$_dir/s.$_id" || { printf 'F %s\n' "$_id" >&4; continue; }
      read -r _now <"$_dir/epoch"
      [ "$_now" = "$_epoch" ] || { printf 'void\n' >"$_dir/s.$_id"; break; }
      jobs
      read -r _now _ </proc/uptime
      _waiter </dev/null &
      eval "_waiter_$_id=$! _until_$_id=$((${_now%.*} + _4)) _keep_$_id=$_limit"
      _mine="$_mine $_id"
      ;;
    get) _send "$_1" & ;; # LIMIT
    tail) { # o|e COUNT
      printf 'T %s %s\n' "$_id" "$(wc -c <"$_dir/$_1.$_id")" >&4
      tail -c "$_2" "$_dir/$_1.$_id" >&3
      exec cat "$_dir/s.$_id" >&3
    } & ;;
    tick)
      jobs
      _tick &
      ;;
    kill) _kill & ;;
    query) _follow & ;;
    drop) _drop "$_id" $_1 $_2 $_3 $_4 $_5 $_6 $_7 ;;
    ping) printf 'P %s\n' "$_id" >&4 ;;
    quit) exit 0 ;;
    leave)
      for _id in $_mine; do _kill; done
      cd / && exec rm -rf "$_dir"
      ;;
  esac
done
_ends
