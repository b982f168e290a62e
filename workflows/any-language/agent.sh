#!/usr/bin/env bash
#
# An agent for Perdure in bash 5.1 or newer, with coreutils, grep and nothing else.
#
#   bash agent.sh --id shell-1 --server nats://127.0.0.1:4222
#
# To make it yours, copy the file, replace the functions under "What this agent does" and leave the rest. What is said
# on the wire, and why, is in docs/wire-protocol.md; the names here are the names there.
#
# One loop talks to NATS and owns all state; each task runs in processes of its own, which are killed when it is to stop.
# Know its limits: no TLS; no headers, so no trace contexts; a wall clock instead of a monotonic one; zero bytes in texts
# get lost; reading JSON takes about a second for 50,000 values, during which it does nothing else.

set -u -o pipefail
# Lengths count bytes, as NATS does, and sort does not depend on where this runs.
export LC_ALL=C

# ------------------------------------------------------------------------------------------------ What this agent does
#
# A function for each type of task, with _ for -. It prints its output as JSON. If it fails, stderr says why: exit
# status 2 is for an input that will never do, any other for what is worth another attempt.

task_types=(text-sha256 text-count text-sort text-echo nap)

text_sha256() {
  local sum
  sum=$(input_text | sha256sum) || exit
  printf '{"sha256":"%s"}' "${sum%% *}"
}

text_count() {
  local counted lines words bytes
  counted=$(input_text | wc) || exit
  read -r lines words bytes <<<"$counted"
  printf '{"lines":%d,"words":%d,"bytes":%d}' "$lines" "$words" "$bytes"
}

text_sort() {
  local sorted
  sorted=$(input_text | sort) || exit
  printf '{"text":%s}' "$(json_string "$sorted")"
}

# Gives the input back as it came.
text_echo() {
  if json_has task input; then json_raw task input; else printf null; fi
}

# Takes its time.
nap() {
  local seconds
  seconds=$(json_raw task input seconds)
  [[ $seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || refuse_input 'the input must be {"seconds": 3}'
  sleep "$seconds"
  printf '{"slept":%s}' "$seconds"
}

# The text to work on: input.text, or the texts of all tasks that this one depends on.
input_text() {
  local id
  if json_is_text task input text; then
    json_text task input text
  elif json_has task input || [[ -z $(json_keys task dependencyResults) ]]; then
    refuse_input 'the input must be {"text": "..."}'
  else
    while read -r id; do json_text task dependencyResults "$id" text; done < <(json_keys task dependencyResults)
  fi
}

refuse_input() {
  echo "$1" >&2
  exit 2
}

# ---------------------------------------------------------------------------------------------------------------- JSON
#
# grep cuts a message into tokens: a text with its quotes, a bracket, a comma, a colon, a number or word. Whatever stands
# inside a text, braces, quotes or "taskId", is part of one token and fools nobody. json_read walks through them once and
# notes where each value begins and ends, by its path: the keys that lead to it, one a line, for a key holds no line break.
# It fails for what is no JSON.

JSON_TOKEN=$'"([^"\\\\\x01-\x1f]|\\\\["\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4})*"|[][{},:]|[^][{},:"[:space:]]+|"'
JSON_WORD='^(true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)$'
# Paths are noted so deep (task dependencyResults <id> text); what lies deeper is part of that.
JSON_DEPTH=4

declare -a json_tokens=()
declare -A json_first=() json_last=() json_members=()

json_read() {
  local token path=json depth=0 index expect=value
  local -a within=() closing=() place=()
  mapfile -t json_tokens < <(grep -aoE "$JSON_TOKEN" <<<"$1")
  json_first=() json_last=() json_members=()
  for ((index = 0; index < ${#json_tokens[@]}; index += 1)); do
    token=${json_tokens[index]}
    case $token in
      '{' | '[')
        [[ $expect == value* ]] || return 1
        ((depth <= JSON_DEPTH)) && json_first[$path]=$index
        ((depth += 1))
        within[depth]=$path place[depth]=0
        if [[ $token == '{' ]]; then
          closing[depth]='}' expect=key-or-end
        else
          closing[depth]=']' expect=value-or-end path+=$'\n0'
        fi
        ;;
      '}' | ']')
        [[ $expect == next || $expect == *-or-end ]] && [[ ${closing[depth]-} == "$token" ]] || return 1
        path=${within[depth]} expect=next
        ((depth -= 1))
        ((depth <= JSON_DEPTH)) && json_last[$path]=$index
        ;;
      ',')
        [[ $expect == next ]] && ((depth > 0)) || return 1
        if [[ ${closing[depth]} == '}' ]]; then
          expect=key
        else
          ((place[depth] += 1))
          expect=value path=${within[depth]}$'\n'${place[depth]}
        fi
        ;;
      ':')
        [[ $expect == colon ]] || return 1
        expect=value
        ;;
      '"'*'"')
        if [[ $expect == key* ]]; then
          ((depth <= JSON_DEPTH)) && json_members[${within[depth]}]+=${token:1:-1}$'\n'
          expect=colon path=${within[depth]}$'\n'${token:1:-1}
        else
          [[ $expect == value* ]] || return 1
          ((depth <= JSON_DEPTH)) && json_first[$path]=$index json_last[$path]=$index
          expect=next
        fi
        ;;
      *)
        # Most are plain numbers, and a regular expression costs more than all the rest.
        [[ $token != *[!0-9]* && $token != 0?* || $token =~ $JSON_WORD ]] && [[ $expect == value* ]] || return 1
        ((depth <= JSON_DEPTH)) && json_first[$path]=$index json_last[$path]=$index
        expect=next
        ;;
    esac
  done
  [[ $depth == 0 && $expect == next ]]
}

# All of these take a path as arguments: json_raw task input text.
json_at() { local IFS=$'\n'; at=json$'\n'"$*"; }
json_has() { json_at "$@"; [[ -n ${json_first[$at]-} ]]; }
json_is_text() { json_has "$@" && [[ ${json_tokens[${json_first[$at]}]} == '"'* ]]; }

# A value as JSON; nothing if there is none.
json_raw() {
  json_has "$@" || return 0
  local first=${json_first[$at]} last=${json_last[$at]}
  printf '%s' "${json_tokens[@]:first:last - first + 1}"
}

# The keys of an object, one a line.
json_keys() { json_at "$@"; printf '%s' "${json_members[$at]-}"; }

# A whole number, or nothing. Whatever bash is to calculate with has to come through here: it would run $(...) in it.
json_number() { [[ $(json_raw "$@") =~ ^[0-9]{1,15}$ ]] && printf '%s' "${BASH_REMATCH[0]}"; }

# The bytes that a text stands for. Between two backslashes stands what the first of them escapes, and what follows.
json_text() {
  json_is_text "$@" || return 0
  local token=${json_tokens[${json_first[$at]}]} piece index code next
  local -a pieces
  mapfile -t -d '\' pieces < <(printf '%s' "${token:1:-1}")
  printf '%s' "${pieces[0]-}"
  for ((index = 1; index < ${#pieces[@]}; index += 1)); do
    piece=${pieces[index]}
    case $piece in
      '') # an escaped backslash: the next piece is no escape
        printf '\\'
        ((index += 1))
        printf '%s' "${pieces[index]-}"
        ;;
      n*) printf '\n%s' "${piece:1}" ;;
      t*) printf '\t%s' "${piece:1}" ;;
      r*) printf '\r%s' "${piece:1}" ;;
      b*) printf '\b%s' "${piece:1}" ;;
      f*) printf '\f%s' "${piece:1}" ;;
      u*)
        code=$((16#${piece:1:4})) next=${pieces[index + 1]-}
        if ((code >= 0xd800 && code < 0xdc00)) && [[ ${#piece} == 5 && $next == u[dD][c-fC-F]* ]]; then
          code=$((0x10000 + ((code - 0xd800) << 10) + 16#${next:1:4} - 0xdc00))
          piece=$next
          ((index += 1))
        fi
        utf8 "$code"
        printf '%s' "${piece:5}"
        ;;
      *) printf '%s' "$piece" ;; # a quote or a slash stands for itself
    esac
  done
}

utf8() {
  local code=$1 bytes
  ((code >= 0xd800 && code < 0xe000)) && code=0xfffd # half of a pair
  if ((code < 0x80)); then
    printf -v bytes '\\x%x' "$code"
  elif ((code < 0x800)); then
    printf -v bytes '\\x%x\\x%x' $((0xc0 | code >> 6)) $((0x80 | code & 0x3f))
  elif ((code < 0x10000)); then
    printf -v bytes '\\x%x\\x%x\\x%x' $((0xe0 | code >> 12)) $((0x80 | code >> 6 & 0x3f)) $((0x80 | code & 0x3f))
  else
    printf -v bytes '\\x%x\\x%x\\x%x\\x%x' $((0xf0 | code >> 18)) $((0x80 | code >> 12 & 0x3f)) \
      $((0x80 | code >> 6 & 0x3f)) $((0x80 | code & 0x3f))
  fi
  printf '%b' "$bytes"
}

# A text as JSON.
json_string() {
  local text=$1 code char
  text=${text//\\/\\\\} text=${text//\"/\\\"}
  text=${text//$'\n'/\\n} text=${text//$'\t'/\\t} text=${text//$'\r'/\\r}
  if [[ $text == *[$'\x01'-$'\x1f']* ]]; then
    for code in {1..31}; do
      printf -v char '\\x%x' "$code"
      printf -v char '%b' "$char"
      printf -v code '\\u%04x' "$code"
      text=${text//"$char"/"$code"}
    done
  fi
  printf '"%s"' "$text"
}

# ----------------------------------------------------------------------------------------------------------- Its state

FIELD_BYTES_MAX=131072
# Exit status of a task whose output is none.
NO_JSON=65
# Answered attempts that are remembered, in case one is assigned again.
ANSWERED_MAX=200
REGISTER_AGAIN_MS=2000
RESULTS_AGAIN_MS=2000
PING_MS=5000
# A connection that says nothing for so long, the answers to our pings included, is dead.
DEAD_MS=15000
# As the orchestrator counts: it has given this agent's work away by then.
LOST_AFTER_INTERVALS=6

# A password is better off in the environment: everybody on the machine can read a command line.
id='' server=${NATS_URL:-nats://127.0.0.1:4222} namespace=mcp slots=2 drain_timeout_s=30 give_up_after_s=''
incarnation='' registering=1 interval_ms=1000
drain_signals=0 drain_by='' exit_status=''
now=0 heard_at=0 answered_at=0
register_at=0 beat_at=0 results_at=0 ping_at=0

# All by the token of the attempt. in_hand has process ids, the others of the first line what the result repeats.
declare -A in_hand=() task_of=() attempt_of=() started_at=() stop_as=()
declare -A unacknowledged=() answered=() # result messages
declare -A released=()                   # task ids, until the orchestrator has taken the task back
declare -a answered_order=()

log() { echo "agent.sh: $*" >&2; }

tell_time() { now=$((${EPOCHREALTIME/[.,]/} / 1000)); }

end() {
  exit_status=$1
  log "$2"
}

# ------------------------------------------------------------------------------------------------------- What it says

# publish <subject> <reply subject or nothing> <body>
publish() { printf 'PUB %s %s %d\r\n%s\r\n' "$1" "$2" "${#3}" "$3" 2>/dev/null >&3; }

# Sets message: the envelope around some fields.
wrap() {
  printf -v message '{"messageId":"%08x-%04x-4%03x-8%03x-%08x%04x","timestamp":%d,%s}' "$SRANDOM" \
    $((SRANDOM & 0xffff)) $((SRANDOM & 0xfff)) $((SRANDOM & 0xfff)) "$SRANDOM" $((SRANDOM & 0xffff)) "$now" "$1"
}

register() {
  local types
  printf -v types '"%s",' "${task_types[@]}"
  wrap "\"registration\":{\"agentId\":\"$id\",\"instanceId\":\"$instance\",\"capabilities\":[${types%,}],\
\"maxConcurrentTasks\":$slots,\"metadata\":{\"language\":\"bash\",\"version\":\"$BASH_VERSION\"}}"
  publish "$namespace.agent.register" "$inbox.register" "$message"
}

heartbeat() {
  local token tokens=''
  for token in "${!released[@]}"; do report released "${released[$token]}" "$token"; done
  for token in "${!in_hand[@]}" "${!unacknowledged[@]}" "${!released[@]}"; do tokens+="\"$token\","; done
  wrap "\"agentId\":\"$id\",\"incarnation\":$incarnation,\"metrics\":{\"activeTasks\":${#in_hand[@]}},\"tokens\":[${tokens%,}]"
  # When it was sent, and as which incarnation, comes back in the subject of the answer.
  publish "$subject.heartbeat" "$inbox.beat.$now.$incarnation" "$message"
}

# report <state> [<task id> <token>]
report() {
  local attempt=''
  [[ $# == 3 ]] && attempt=",\"taskId\":\"$2\",\"token\":\"$3\""
  wrap "\"status\":{\"agentId\":\"$id\",\"state\":\"$1\",\"incarnation\":$incarnation$attempt}"
  publish "$subject.status" '' "$message"
}

# hand_back <task id> <token>
hand_back() {
  released[$2]=$1
  ((registering)) || report released "$1" "$2"
}

# answer <token> <fields of the result>: kept as bytes, and sent until the stream has acknowledged them.
answer() {
  wrap "\"result\":{\"taskId\":\"${task_of[$1]}\",\"attempt\":${attempt_of[$1]},\"token\":\"$1\",\"agentId\":\"$id\",\
\"incarnation\":$incarnation,\"durationMs\":$((now - ${started_at[$1]})),$2}"
  unacknowledged[$1]=$message
  hand_in "$1"
}

hand_in() { publish "$subject.result" "$inbox.result.$1" "${unacknowledged[$1]}"; }

# ------------------------------------------------------------------------------------------------------- What it hears

# hear <subject> <body>
hear() {
  if ! json_read "$2"; then
    log "ignored what is no JSON on $1"
    return
  fi
  case $1 in
    "$subject.task") take ;;
    "$subject.status") obey ;;
    "$inbox.register") hear_registration ;;
    "$inbox.beat."*) hear_heartbeat_answer "${1#"$inbox.beat."}" ;;
    "$inbox.result."*) hear_acknowledgement "${1##*.}" ;;
  esac
}

hear_registration() {
  case $(json_text error code) in
    # The same registration would meet them again.
    INVALID_MESSAGE | INVALID_ID | PAYLOAD_TOO_LARGE | PERMISSION_DENIED)
      end 1 "the registration was refused: $(json_raw error)"
      ;;
  esac
  local confirmed
  confirmed=$(json_number status incarnation)
  [[ -n $confirmed ]] && ((registering)) || return
  incarnation=$confirmed registering=0 answered_at=$now
  interval_ms=$(json_number status heartbeatIntervalMs)
  interval_ms=${interval_ms:-1000}
  log "registered as incarnation $incarnation"
  echo "registered $id"
  [[ -n $drain_by ]] && report draining
}

# hear_heartbeat_answer <when it was asked>.<as which incarnation>
hear_heartbeat_answer() {
  [[ $1 =~ ^([0-9]+)\.([0-9]+)$ ]] && ((!registering)) && [[ ${BASH_REMATCH[2]} == "$incarnation" ]] || return
  ((BASH_REMATCH[1] > answered_at)) && answered_at=${BASH_REMATCH[1]}
  local index=0 token
  while json_is_text cancel "$index"; do
    token=$(json_text cancel "$index")
    [[ -n ${released[$token]-} ]] && unset -v 'released[$token]'
    [[ -n ${in_hand[$token]-} ]] && stop "$token" dropped
    ((index += 1))
  done
  case $(json_text status state) in
    superseded)
      stop_all dropped
      end 1 'another process has registered under this id; give each process an id of its own'
      ;;
    reregister)
      stop_all dropped
      registering=1 register_at=0
      ;;
  esac
}

# An order to whoever has this id. Our own words come back here too and are no orders.
obey() {
  local token
  # An answer to another agent, which had it sent here.
  [[ $(json_text status agentId) == "$id" ]] || return
  case $(json_text status state) in
    cancel)
      token=$(json_text status token)
      [[ -n $token && -n ${in_hand[$token]-} ]] && stop "$token" cancelled
      ;;
    # May be meant for another process of this id: the answer to a heartbeat tells.
    superseded | reregister) beat_at=0 ;;
  esac
}

# hear_acknowledgement <token>. With `error` instead of `seq` the stream has not got it.
hear_acknowledgement() {
  [[ -n ${unacknowledged[$1]-} ]] && json_has seq || return
  answered[$1]=${unacknowledged[$1]}
  unset -v 'unacknowledged[$1]'
  answered_order+=("$1")
  if ((${#answered_order[@]} > ANSWERED_MAX)); then
    unset -v 'answered[${answered_order[0]}]'
    answered_order=("${answered_order[@]:1}")
  fi
}

take() {
  local token task attempt type
  token=$(json_text task token) task=$(json_text task taskId) attempt=$(json_number task attempt)
  if ! [[ $token =~ ^[A-Za-z0-9_-]{1,64}$ && $task =~ ^[A-Za-z0-9_-]{1,128}$ && -n $attempt ]]; then
    log 'ignored an assignment without a usable taskId, token or attempt'
  elif json_has task incarnation && [[ $(json_raw task incarnation) != "$incarnation" ]]; then
    log "left task $task to incarnation $(json_raw task incarnation)"
  elif [[ -n ${in_hand[$token]-} ]]; then
    report accepted "$task" "$token"
  elif [[ -n ${unacknowledged[$token]-} ]]; then
    hand_in "$token"
  elif [[ -n ${answered[$token]-} ]]; then
    publish "$subject.result" '' "${answered[$token]}"
  elif [[ -n ${released[$token]-} || -n $drain_by ]] || ((${#in_hand[@]} >= slots)); then
    hand_back "$task" "$token"
  else
    task_of[$token]=$task attempt_of[$token]=$attempt started_at[$token]=$now stop_as[$token]=''
    type=$(json_text task type)
    if [[ " ${task_types[*]} " == *" $type "* ]]; then
      report accepted "$task" "$token"
      work "$token" "${type//-/_}"
    else
      answer "$token" "\"status\":\"failed\",\"error\":{\"type\":\"TASK_TYPE_UNKNOWN\",\"message\":\"knows ${task_types[*]}\"}"
      forget "$token"
    fi
  fi
}

# ----------------------------------------------------------------------------------------------------------- Its tasks

# work <token> <function>: starts it in a process group of its own, so that all of it can be killed. Its output is looked
# at there, too: that takes a while, and heartbeats have to go on.
work() {
  set -m
  (
    exec 3>&-
    trap - TERM INT PIPE
    "$2" >"$folder/$1.out" || exit
    is_utf8 <"$folder/$1.out" && json_read "$(<"$folder/$1.out")" || exit "$NO_JSON"
  ) </dev/null 2>"$folder/$1.err" &
  in_hand[$1]=$!
  set +m
}

# stop <token> <cancelled, released or dropped>
stop() {
  stop_as[$1]=${stop_as[$1]:-$2}
  kill -KILL -- "-${in_hand[$1]}" 2>/dev/null
}

stop_all() {
  local token
  for token in "${!in_hand[@]}"; do stop "$token" "$1"; done
}

forget() { unset -v 'task_of[$1]' 'attempt_of[$1]' 'started_at[$1]' 'stop_as[$1]'; }

look_after_tasks() {
  local token process
  for token in "${!in_hand[@]}"; do
    process=${in_hand[$token]}
    kill -0 "$process" 2>/dev/null && continue
    { wait "$process"; } 2>/dev/null # which would say that it was killed
    conclude "$token" $?
    unset -v 'in_hand[$token]'
    rm -f "$folder/$token".{out,err}
    forget "$token"
  done
}

# conclude <token> <exit status of its function>
conclude() {
  local output why
  case ${stop_as[$1]}:$2 in
    dropped:*) log "dropped what came of task ${task_of[$1]}: it is not this agent's any more" ;;
    *:0)
      output=$(tr -d '\000' <"$folder/$1.out")
      if ((${#output} > FIELD_BYTES_MAX)); then
        fail "$1" PAYLOAD_TOO_LARGE true "returned ${#output} bytes; $FIELD_BYTES_MAX are allowed. Return a reference"
      else
        answer "$1" "\"status\":\"completed\",\"output\":$output"
      fi
      ;;
    *:"$NO_JSON") fail "$1" TASK_OUTPUT_INVALID true 'the task returned what is no JSON' ;;
    released:*) hand_back "${task_of[$1]}" "$1" ;;
    cancelled:*) answer "$1" '"status":"cancelled"' ;;
    *)
      why=$(head -c 1000 "$folder/$1.err" | tr -d '\000')
      # The cut may go through a character. What is no UTF-8 from the start is of no use.
      for _ in 1 2 3; do is_utf8 <<<"$why" || why=${why%?}; done
      is_utf8 <<<"$why" && [[ -n $why ]] || why="ended with status $2"
      if (($2 == 2)); then
        fail "$1" TASK_INPUT_INVALID true "${why%$'\n'}"
      else
        fail "$1" TASK_FAILED false "${why%$'\n'}"
      fi
      ;;
  esac
}

# fail <token> <type> <true where another attempt would fail as well> <message>
fail() {
  answer "$1" "\"status\":\"failed\",\"error\":{\"type\":\"$2\",\"nonRetryable\":$3,\"message\":$(json_string "$4")}"
}

# Whether all of stdin is UTF-8, as messages have to be.
is_utf8() { ! LC_ALL=C.UTF-8 grep -qaxv '.*'; }

# ------------------------------------------------------------------------------------------------------------ Its life

# Everything that time brings.
do_what_is_due() {
  if ((now >= ping_at)); then
    ping_at=$((now + PING_MS))
    printf 'PING\r\n' 2>/dev/null >&3
  fi
  if ((registering && now >= register_at)); then
    register_at=$((now + REGISTER_AGAIN_MS))
    register
  fi
  if ((!registering && now >= beat_at)); then
    beat_at=$((now + interval_ms - SRANDOM % (interval_ms / 10 + 1)))
    heartbeat
  fi
  if ((now >= results_at)); then
    results_at=$((now + RESULTS_AGAIN_MS))
    local token
    for token in "${!unacknowledged[@]}"; do hand_in "$token"; done
  fi
}

# What goes on without a connection, too.
live_on() {
  tell_time
  look_after_tasks
  # The orchestrator, if there is one, has given this agent's work to others by then.
  ((now - answered_at > LOST_AFTER_INTERVALS * interval_ms)) && stop_all released
  ((drain_signals > 0)) || return
  if [[ -z $drain_by ]]; then
    log drains
    drain_by=$((now + drain_timeout_s * 1000))
    ((registering)) || report draining
  fi
  ((drain_signals > 1 && drain_by > now)) && drain_by=$now
  ((now >= drain_by)) && stop_all released
}

# Says goodbye once there is nothing left to hand in.
depart_if_drained() {
  [[ -n $drain_by && ${#in_hand[@]} == 0 ]] || return
  ((${#unacknowledged[@]} == 0 || now >= drain_by + RESULTS_AGAIN_MS)) || return
  ((registering)) || report idle
  # The answer to a ping says that the server has the goodbye.
  printf 'PING\r\n' 2>/dev/null >&3
  IFS= read -r -t 2 -u 3 _
  end 0 'has drained'
}

# To nats://HOST:PORT, nats://TOKEN@HOST:PORT or nats://USER:PASSWORD@HOST:PORT.
connect() {
  local address=${server#*://} secret=''
  if [[ $address == *@* ]]; then
    secret=${address%@*} address=${address##*@}
    if [[ $secret == *:* ]]; then
      secret=",\"user\":$(json_string "${secret%%:*}"),\"pass\":$(json_string "${secret#*:}")"
    else
      secret=",\"auth_token\":$(json_string "$secret")"
    fi
  fi
  { exec 3<>"/dev/tcp/${address%:*}/${address##*:}"; } 2>/dev/null || return
  printf 'CONNECT {"verbose":false,"pedantic":false,"headers":false,"lang":"bash"%s}\r\n' "$secret" >&3
  # Subscriptions come first, so that no answer can be missed.
  printf 'SUB %s\r\n' "$subject.task 1" "$subject.status 2" "$inbox.> 3" >&3
  heard_at=$now register_at=0 beat_at=0 results_at=0 ping_at=0
}

# From a new connection to its loss.
converse() {
  local line='' piece
  while [[ -z $exit_status ]]; do
    live_on
    do_what_is_due
    depart_if_drained
    ((now - heard_at > DEAD_MS)) && return
    if IFS= read -r -t 0.1 -u 3 piece; then
      heard_at=$now
      line+=$piece
      follow "${line%$'\r'}" || return
      line=''
    elif (($? > 128)); then
      line+=$piece # the rest of it has not arrived
    else
      return
    fi
  done
}

# follow <line of the server>. MSG <subject> <subscription> [<reply>] <bytes> is followed by so many bytes and a line end.
follow() {
  local -a words
  read -r -a words <<<"$1"
  case ${words[0]-} in
    PING) printf 'PONG\r\n' 2>/dev/null >&3 ;;
    -ERR) log "the server says $1" ;;
    MSG)
      local bytes=${words[-1]} body
      [[ $bytes =~ ^[0-9]+$ ]] || return
      timeout 10 head -c "$((bytes + 2))" <&3 >"$folder/message" || return
      (($(wc -c <"$folder/message") == bytes + 2)) || return
      body=$(tr -d '\000' <"$folder/message")
      hear "${words[1]}" "${body%$'\r'}"
      ;;
  esac
  return 0
}

run() {
  local unreachable_since=''
  tell_time
  answered_at=$now
  while [[ -z $exit_status ]]; do
    if connect; then
      unreachable_since=''
      converse
    fi
    exec 3>&-
    [[ -n $exit_status ]] && break
    log "no connection to ${server##*@}"
    sleep 1
    live_on
    unreachable_since=${unreachable_since:-$now}
    if [[ -n $give_up_after_s ]] && ((now - unreachable_since > give_up_after_s * 1000)); then
      end 1 "no server for $give_up_after_s s"
    elif [[ -n $drain_by ]] && ((now > drain_by)); then
      end 1 'went down without a server; results that were not acknowledged cost another attempt'
    fi
  done
}

while (($# >= 2)); do
  case $1 in
    --id) id=$2 ;;
    --server) server=$2 ;;
    --namespace) namespace=$2 ;;
    --slots) slots=$2 ;;
    --drain-timeout) drain_timeout_s=$2 ;;
    --give-up-after) give_up_after_s=$2 ;;
    *) break ;;
  esac
  shift 2
done
if ! [[ $# == 0 && $id =~ ^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$ && $slots =~ ^[1-9][0-9]{0,4}$ &&
  $drain_timeout_s =~ ^[0-9]+$ && $give_up_after_s =~ ^[0-9]*$ ]]; then
  echo 'usage: agent.sh --id ID [--server nats://HOST:PORT] [--namespace mcp] [--slots 2]
                [--drain-timeout SECONDS] [--give-up-after SECONDS]' >&2
  exit 2
fi

subject=$namespace.agent.$id
printf -v instance '%08x%08x%08x%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
# An inbox that begins with the agent's id can be guarded by permissions.
inbox=_INBOX_a_$id.$instance
folder=''
trap 'stop_all dropped; rm -rf "$folder"' EXIT
trap 'drain_signals=$((drain_signals + 1))' TERM INT
folder=$(mktemp -d) || exit
# A connection that broke is found out by reading.
trap '' PIPE
run
exit "$exit_status"
