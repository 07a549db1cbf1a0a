# A C program of many files, built by make -j2 and run.
dir=$(mktemp -d) && cd "$dir" || exit 1
for i in 1 2 3 4 5 6; do echo "int f$i(int x) { return x * $i + $i; }" > f$i.c; done
{
    echo '#include <stdio.h>'
    for i in 1 2 3 4 5 6; do echo "int f$i(int);"; done
    echo 'int main(void) { printf("%d\n", f1(f2(f3(f4(f5(f6(1))))))); return 42; }'
} > main.c
cat > Makefile << 'END'
objects = main.o f1.o f2.o f3.o f4.o f5.o f6.o
program: $(objects)
	@$(CC) -o $@ $^
	@echo linked $^
%.o: %.c
	@$(CC) -O2 -c -o $@ $<
clean:
	@rm -f program *.o
END
make -s -j2 && ./program
echo "status $?"
make -s -j2; make -q; echo "up to date: $?"
touch f3.c && make -s -j2
make -s clean && ls
gcc -x c - -o broken <<< 'int main(void) { return nothing; }' 2> /dev/null; echo "error: $?"
cd / && rm -r "$dir"
