_patrol() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path="" words="" try i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
    @WITH_VALUE@) ((i++)) ;;
    -*) ;;
    *)
      # What is no command below this one is an argument.
      try="${path:+$path }${COMP_WORDS[i]}"
      if _patrol_words "$try"; then path="$try"; fi
      ;;
    esac
  done
  case "$path $previous" in
@VALUES@    *)
      case "$previous" in
      @WITH_VALUE@) COMPREPLY=($(compgen -f -- "$current")) ;;
      *)
        _patrol_words "$path"
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        ;;
      esac
      ;;
  esac
}
_patrol_words() {
  case "$1" in
@COMMANDS@    *) return 1 ;;
  esac
}
complete -o bashdefault -F _patrol patrol
