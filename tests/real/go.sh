# go.sh DIR: a program built and run.
set -u
cd "$1" || exit 1
export HOME=$PWD GOCACHE=$PWD/cache GOPATH=$PWD/path GOFLAGS=-p=2 GO111MODULE=auto
cat > main.go << 'END'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	numbers, sums := make(chan int), make(chan int)
	var group sync.WaitGroup
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			sum := 0
			for n := range numbers {
				sum += n
			}
			sums <- sum
		}()
	}
	go func() {
		for i := 0; i < 100000; i++ {
			numbers <- i
		}
		close(numbers)
		group.Wait()
		close(sums)
	}()
	total := 0
	for s := range sums {
		total += s
	}
	fmt.Println(total)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	got := make(chan int, 50)
	for i := 0; i < 50; i++ {
		go func(i int) {
			r, err := http.Get(fmt.Sprintf("%s/%04d", server.URL, i))
			if err != nil {
				fmt.Println(err)
				got <- 0
				return
			}
			body, _ := io.ReadAll(r.Body)
			r.Body.Close()
			got <- len(body)
		}(i)
	}
	bytes := 0
	for i := 0; i < 50; i++ {
		bytes += <-got
	}
	server.Close()
	fmt.Println(bytes)
	for i := 0; i < 20; i++ {
		out, err := exec.Command("sh", "-c", fmt.Sprint("echo ", i, "; exit ", i%3)).Output()
		fmt.Print(string(out), err, " ")
	}
	fmt.Println()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-caught)
	func() {
		defer func() { fmt.Println(recover()) }()
		var nothing *int
		*nothing = 1
	}()
	garbage := make([][]byte, 1000)
	for i := 0; i < 200000; i++ {
		garbage[i%1000] = make([]byte, 1000)
	}
	busy := make(chan bool)
	go func() {
		for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
		}
		close(busy)
	}()
	select {
	case <-busy:
		fmt.Println("busy")
	case <-time.After(20 * time.Second):
		fmt.Println("late")
	}
	for i := 0; i < 100; i++ {
		os.WriteFile(fmt.Sprint("f", i), []byte("data"), 0644)
	}
	entries, _ := os.ReadDir(".")
	fmt.Println(len(entries), len(garbage))
	os.Exit(6)
}
END
go build -o program main.go; echo "build $?"
./program; echo "status $?"
chmod -R u+w .
