# Runs natively and in Moat with the same output: tmux with two windows, keys and what the screens show.
# Usage: tmux.sh DIR
export TERM=xterm PS1='> ' HOME=$1 TMUX_TMPDIR=$1
unset TMUX ENV BASH_ENV
tmux="tmux -S $1/socket -f /dev/null"

# screen TEXT: waits until a line of the window is TEXT.
screen() {
    local i
    for ((i = 0; i < 300; i++)); do
        $tmux capture-pane -p | grep -qxF "$1" && { echo "shown: $1"; return; }
        sleep 0.1
    done
    echo "never shown: $1"
    $tmux capture-pane -p
}

$tmux new-session -d -x 80 -y 24 "exec bash --norc --noprofile -i"
$tmux send-keys "PS1='> '; clear" Enter
screen '>'
$tmux send-keys 'echo sum $((40 + 2)); stty size; tput cols' Enter
screen 'sum 42'
screen '24 80'
$tmux send-keys 'sleep 1000' Enter
screen '> sleep 1000'
$tmux send-keys C-c
$tmux send-keys 'echo interrupted $?' Enter
screen 'interrupted 130'
$tmux send-keys 'sleep 2000' Enter
screen '> sleep 2000'
$tmux send-keys C-z
screen '[1]+  Stopped                 sleep 2000'
$tmux send-keys 'kill -9 %1; clear; echo after the kill' Enter
screen 'after the kill'
$tmux new-window "exec bash --norc --noprofile -i"
$tmux send-keys "PS1='> '; clear" Enter
screen '>'
$tmux resize-window -x 100 -y 30
$tmux send-keys 'stty size' Enter
screen '30 100'
$tmux list-windows -F '#{window_index} #{window_width}x#{window_height}'
$tmux kill-server
echo "end $?"
