package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// upInto is an up whose temporary folder is made below dir.
func upInto(t *testing.T, dir string, args ...string) (up func(out *os.File) (code int, said string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleet.yaml")
	if err := os.WriteFile(file, []byte(fleetOf(true, "a")), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(out *os.File) (int, string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := fleetfold(ctx, append([]string{"up", "--inventory", file}, args...)...)
		cmd.Env = append(cmd.Env, "TMPDIR="+dir)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = out, &said
		return exitCode(cmd.Run()), said.String()
	}
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// As in "up | head -n 1": the fleet is put away, and nobody is blamed.
func TestAReaderThatGoesAwayEndsUp(t *testing.T) {
	dir := t.TempDir()
	up := upInto(t, dir)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		_ = out.Close()
		read <- line
	}()
	code, said := up(in)
	_ = in.Close()
	if line := <-read; !strings.HasPrefix(line, "folder ") {
		t.Errorf("read %q", line)
	}
	if code != 1 || said != "" {
		t.Errorf("exit code %d, said %q", code, said)
	}
	nothingLeft(t, dir)
}

func TestAFullDiskIsAnError(t *testing.T) {
	for does, args := range map[string][]string{
		"until converged":       {"--until-converged"},
		"for machines":          {"--until-converged", "-o", "jsonl"},
		"until it is disturbed": nil,
	} {
		t.Run(does, func(t *testing.T) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			dir := t.TempDir()
			code, said := upInto(t, dir, args...)(full)
			if code != 1 || !strings.Contains(said, "error: write output: ") || !strings.Contains(said, "no space left on device") {
				t.Errorf("exit code %d, said %q", code, said)
			}
			nothingLeft(t, dir)
		})
	}
}

// A failed action has its line on the screen: the log does not tell of it again.
func TestAFailedActionIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	code, said := upInto(t, dir, "--enroll-timeout", "1ms", "--until-converged", "--timeout", "30s")(out)
	shown, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 || !strings.Contains(string(shown), "✗ EnrollNode") || strings.Contains(said, "action settled") {
		t.Errorf("exit code %d, shown\n%ssaid\n%s", code, shown, said)
	}
	nothingLeft(t, dir)
}
