package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// process starts one of the programs and stops it gently when the test ends.
func process(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(os.Interrupt)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s ended with %v", program, err)
			}
		}
		if t.Failed() {
			t.Logf("%s %s said:\n%s", program, strings.Join(args, " "), said.String())
		}
	})
	return cmd
}

// The same fleet as separate processes, as the README starts them by hand;
// then the planner and the executor are killed and started again.
func TestSeparateProcessesConverge(t *testing.T) {
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	dir := t.TempDir()
	file := filepath.Join(dir, "fleet.yaml")
	apply := func(ids ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(fleetOf(true, ids...)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nats := "--nats=" + server.URL()
	converged := func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := fleetfold(ctx, "wait", "--for", "converged", "--timeout", "50s", nats).CombinedOutput()
		if err != nil {
			t.Fatalf("wait: %v\n%s", err, out)
		}
		log, err := fleetfold(ctx, "log", nats).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(log)
	}

	clients, err := attest.OpenLocal(filepath.Join(dir, "clients"), nil)
	if err != nil {
		t.Fatal(err)
	}
	apply("a", "b", "c")
	planner := process(t, "planner", nats, "--inventory", file, "--lease", "3s")
	trust := filepath.Join(dir, "trust")
	executorArgs := []string{
		nats, "--dir", filepath.Join(dir, "executor"), "--attest-ca", clients.File,
		"--trust-dir", trust, "--ca-key-command", "key-program " + filepath.Join(dir, "module.pem"),
	}
	executor := process(t, "executor", executorArgs...)
	for _, id := range []string{"a", "b", "c", "d"} {
		if err := clients.Equip(fleet.NodeID(id), filepath.Join(dir, id)); err != nil {
			t.Fatal(err)
		}
		process(t, "node-agent", nats, "--id", id, "--dir", filepath.Join(dir, id), "--lease", "3s")
	}
	// d is in no inventory: it is told to stop, and does.
	log := converged()
	for _, want := range []string{"enforcement.enabled", "EnableStrictEnforcement"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}

	for _, victim := range []*exec.Cmd{planner, executor} {
		if err := victim.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait() // "signal: killed" is what we asked for
	}
	apply("a", "b")
	process(t, "planner", nats, "--inventory", file, "--lease", "3s")
	process(t, "executor", executorArgs...)
	if err := waitFact(t, "node.removed", "c", nats); err != nil {
		t.Fatal(err)
	}
	converged()
	checkTrustFiles(t, trust)
	if _, err := os.Stat(filepath.Join(dir, "executor", "ca", "ca.key")); !os.IsNotExist(err) {
		t.Errorf("the executor made a key of its own: %v", err)
	}
}

// checkTrustFiles reads what an executor wrote for others, until the list has
// the one node that was removed.
func checkTrustFiles(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		problem := trustFiles(dir)
		if problem == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal(problem)
		}
	}
}

func trustFiles(dir string) error {
	bundle, err := os.ReadFile(filepath.Join(dir, "bundle.json"))
	if err != nil {
		return err
	}
	roots, _, err := identity.ParseSPIFFEBundle("fleet.example", bundle)
	if err != nil {
		return err
	}
	der, err := os.ReadFile(filepath.Join(dir, "crl.der"))
	if err != nil {
		return err
	}
	if _, err := identity.ParseCRL(der, roots...); err != nil {
		return err
	}
	list, err := x509.ParseRevocationList(der)
	if err == nil && len(list.RevokedCertificateEntries) == 0 {
		err = errors.New("nobody is revoked")
	}
	return err
}

// keyProgram signs with the key in a file, as the client of a hardware module
// does with one that nobody can read.
func keyProgram() {
	key, _, err := identity.LoadOrCreateKey(os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	if os.Args[2] == "public-key" {
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			os.Exit(1)
		}
		_ = pem.Encode(os.Stdout, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
		os.Exit(0)
	}
	var digest []byte
	if _, err := fmt.Scanf("%x\n", &digest); err != nil {
		os.Exit(1)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(base64.StdEncoding.EncodeToString(signature))
	os.Exit(0)
}

// waitFact follows the log until it shows that fact of that node.
func waitFact(t *testing.T, typ, node string, flags ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := fleetfold(ctx, append([]string{"log", "--follow", "--node", node}, flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	found := false
	p := &upProcess{t: t}
	p.scan(out, func(line string) {
		if !found && strings.Contains(line, typ) {
			found = true
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}, func() {})
	return cmd.Wait()
}
