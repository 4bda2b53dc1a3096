package handlers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// agent is one child process.
type agent struct {
	id    fleet.NodeID
	cmd   *exec.Cmd
	stdin io.Closer
	log   io.Closer
	asked atomic.Bool
	exit  error         // set before ended is closed
	ended chan struct{} // closed once the process is reaped and forgotten
}

// launch starts a process that ends with this one, whatever ends this one: the
// kernel closes our end of its standard input.
func (l *Local) launch(id fleet.NodeID) (*agent, error) {
	folder := l.folder(id)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of node: %w", err)
	}
	log, err := os.OpenFile(folder+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of node: %w", err)
	}
	cmd := exec.Command(l.Program[0], l.arguments(id)...)
	cmd.Env = withoutFlags(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = log.Close() // nothing was written
		return nil, fmt.Errorf("start agent %s: %w", l.Program[0], err)
	}
	return &agent{id: id, cmd: cmd, stdin: stdin, log: log, ended: make(chan struct{})}, nil
}

// withoutFlags drops the variables that give flags their defaults: they are
// meant for this process. An agent would take this fleet's credentials, or
// another server's context, for its own.
func withoutFlags(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool {
		return strings.HasPrefix(v, "FLEETFOLD_") || strings.HasPrefix(v, "NATS_")
	})
}

func (a *agent) pid() int { return a.cmd.Process.Pid }

func (a *agent) told() bool { return a.asked.Load() }

func (a *agent) wait() error {
	err := a.cmd.Wait()
	_ = a.log.Close() // ours is only a copy of what the process wrote through
	return err
}

func (a *agent) finish(err error) {
	a.exit = err
	close(a.ended)
}

// gone tells one caller how the process ended.
func (a *agent) gone() <-chan error {
	c := make(chan error, 1)
	go func() {
		<-a.ended
		if a.exit == nil {
			c <- errors.New("exit status 0")
		} else {
			c <- a.exit
		}
		close(c)
	}()
	return c
}

// stop signals the whole group, so that what the agent started ends with it.
func (a *agent) stop(grace time.Duration) {
	a.asked.Store(true)
	_ = syscall.Kill(-a.pid(), syscall.SIGTERM) // fails only when it has ended
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-a.ended:
	case <-timer.C:
		_ = syscall.Kill(-a.pid(), syscall.SIGKILL)
		<-a.ended
	}
}
