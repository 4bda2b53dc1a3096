package handlers_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
)

// roleVariable makes the test's own program play another.
const roleVariable = "TEST_OF_HANDLERS_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		leak.Main(m)
	case "parent":
		playParent()
	default:
		playAgent(role)
	}
}

// playAgent tells its arguments to the address it was given as its server, and
// holds the connection for as long as it lives.
func playAgent(role string) {
	if role == "failing" {
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(3)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	address := ""
	for _, arg := range os.Args {
		if rest, ok := strings.CutPrefix(arg, "--nats=tcp://"); ok {
			address = rest
		}
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		os.Exit(4)
	}
	fmt.Fprintln(conn, strings.Join(os.Args[1:], " "))
	if role == "telling" {
		fmt.Fprintln(conn, strings.Join(os.Environ(), " "))
	}
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-closed:
	case <-terminated:
		if role == "stubborn" {
			fmt.Fprintln(conn, "no")
			<-make(chan struct{})
		}
	}
	os.Exit(0)
}

// playParent starts an agent and hangs, to be killed.
func playParent() {
	in := bufio.NewReader(os.Stdin)
	dir, _ := in.ReadString('\n')
	url, _ := in.ReadString('\n')
	os.Setenv(roleVariable, "polite")
	l, err := handlers.NewLocal(handlers.LocalOptions{
		Dir: strings.TrimSpace(dir), URL: strings.TrimSpace(url), Program: []string{os.Args[0]}, Logger: zerolog.Nop(),
	})
	if err == nil {
		_, err = l.Start(context.Background(), "a")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(5)
	}
	_, _ = io.Copy(io.Discard, in)
	os.Exit(6)
}
