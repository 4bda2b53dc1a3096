package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
)

// busyAfter is how long work lasts before a person is told what goes on.
const busyAfter = time.Second

// busy tells on a terminal what goes on and for how long by now, until end is
// called. What is done within a second is not told, nor is anything elsewhere.
func busy(cmd *cobra.Command, what string) (end func()) {
	w := cmd.ErrOrStderr()
	if !cli.IsTerminal(w) {
		return func() {}
	}
	return busyOn(w, what)
}

// busyOn keeps to one line, and leaves it empty.
func busyOn(w io.Writer, what string) (end func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		began := time.Now()
		tick := time.NewTicker(busyAfter)
		defer tick.Stop()
		for told := false; ; told = true {
			select {
			case <-tick.C:
				fmt.Fprintf(w, "\r\x1b[K%s … %.0f s", what, time.Since(began).Seconds())
			case <-done:
				if told {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() { close(done); <-gone }
}
