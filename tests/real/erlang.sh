# erlang.sh DIR: a module compiled and run.
set -u
cd "$1" || exit 1
export HOME=$PWD
cat > work.erl << 'END'
-module(work).
-export([main/0]).
main() ->
    S = self(),
    Ps = [spawn(fun() -> S ! {self(), lists:sum(lists:seq(1, I))} end) || I <- lists:seq(1, 2000)],
    io:format("~p~n", [lists:sum([receive {P, V} -> V end || P <- Ps])]),
    {ok, L} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(L),
    spawn(fun() -> {ok, A} = gen_tcp:accept(L), {ok, B} = gen_tcp:recv(A, 5), gen_tcp:send(A, B) end),
    {ok, C} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    ok = gen_tcp:send(C, <<"hello">>),
    {ok, R} = gen_tcp:recv(C, 5),
    io:format("~s~n~s", [R, os:cmd("echo from a port")]),
    ok = file:write_file("written", <<"x">>),
    io:format("~p~n", [file:read_file("written")]),
    halt(3).
END
erlc work.erl && erl -noshell -s work main
