package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/jointoken"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// tokenFleet is a fleet of separate processes whose nodes join by tokens.
type tokenFleet struct {
	t         *testing.T
	nats, dir string
	processes []*exec.Cmd
	tokens    []string
}

func newTokenFleet(t *testing.T) *tokenFleet {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	f := &tokenFleet{t: t, nats: "--nats=" + server.URL(), dir: t.TempDir()}
	f.apply("a", "b")
	f.start("planner", "--inventory", f.path("fleet.yaml"), "--lease", "3s", "--backoff-base", "200ms")
	return f
}

// executor asks for tokens at that server.
func (f *tokenFleet) executor(nats string) *exec.Cmd {
	f.t.Helper()
	return f.start("executor", "--dir", f.path("executor"), "--attest-plugin", "fleetfold token verify "+nats)
}

func (f *tokenFleet) path(name ...string) string {
	return filepath.Join(append([]string{f.dir}, name...)...)
}

func (f *tokenFleet) apply(ids ...string) {
	f.t.Helper()
	text := strings.ReplaceAll(fleetOf(true, ids...), "mtls-cert", "node-plugin")
	if err := os.WriteFile(f.path("fleet.yaml"), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *tokenFleet) start(program string, args ...string) *exec.Cmd {
	f.t.Helper()
	cmd := process(f.t, program, append(args, f.nats, "--log-level", "debug")...)
	f.processes = append(f.processes, cmd)
	return cmd
}

func (f *tokenFleet) agent(id, folder string) *exec.Cmd {
	f.t.Helper()
	return f.start("node-agent", "--id", id, "--dir", f.path(folder), "--lease", "3s", "--attest-payload", f.path(folder+".token"))
}

// token makes one for a node and puts it where an agent finds it.
func (f *tokenFleet) token(id string, folders ...string) {
	f.t.Helper()
	token := strings.TrimSpace(f.run("token", "create", "--node", id, "--ttl", "10m"))
	f.tokens = append(f.tokens, token)
	for _, folder := range folders {
		if err := os.WriteFile(f.path(folder+".token"), []byte(token+"\n"), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
}

// run is what a command prints; it is tried until it succeeds.
func (f *tokenFleet) run(args ...string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	for {
		var said bytes.Buffer
		cmd := fleetfold(ctx, append(args, f.nats)...)
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err == nil {
			return string(out)
		}
		if ctx.Err() != nil {
			f.t.Fatalf("fleetfold %v: %v\n%s", args, err, &said)
		}
	}
}

// awaitLog returns the log once it has all these words in one line.
func (f *tokenFleet) awaitLog(words ...string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	for {
		log := f.run("log")
		for line := range strings.Lines(log) {
			has := true
			for _, word := range words {
				has = has && strings.Contains(line, word)
			}
			if has {
				return
			}
		}
		if ctx.Err() != nil {
			f.t.Fatalf("no line of the log has %q:\n%s", words, log)
		}
	}
}

// stop ends a process gently.
func (f *tokenFleet) stop(cmd *exec.Cmd) {
	f.t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		f.t.Errorf("%v ended with %v", cmd.Args, err)
	}
}

// A fleet comes up by tokens, and nobody else comes in: not with another's
// token, not with a spent one, and not with one of a former life. Neither a
// token nor a private key appears in anything that the fleet has said.
func TestAFleetThatJoinsByTokens(t *testing.T) {
	f := newTokenFleet(t)
	f.executor(f.nats)
	f.token("a", "a", "thief", "impostor")
	f.token("b", "b")
	a := f.agent("a", "a")

	// b shows a's token first, and then its own.
	own, err := os.ReadFile(f.path("b.token"))
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := os.ReadFile(f.path("thief.token"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path("b.token"), stolen, 0o600); err != nil {
		t.Fatal(err)
	}
	f.agent("b", "b")
	f.awaitLog("action.failed", "attestation_plugin", "token_node", "for another node")
	if err := os.WriteFile(f.path("b.token"), own, 0o600); err != nil {
		t.Fatal(err)
	}
	f.run("wait", "--for", "converged", "--timeout", "50s")
	f.awaitLog("enforcement.enabled")

	// Who takes a's place with the token and another key is not let in.
	f.stop(a)
	impostor := f.agent("a", "impostor")
	f.awaitLog("action.failed", "attestation_plugin", "token_spent")
	f.stop(impostor)
	a = f.agent("a", "a")
	f.run("wait", "--for", "converged", "--timeout", "50s")

	// What let a in once does not let it in again after a decommission.
	f.apply("b")
	f.awaitLog("node.removed", "a")
	if err := a.Wait(); err != nil {
		t.Errorf("a was told to go, and ended with %v", err)
	}
	f.apply("a", "b")
	f.awaitLog("inventory.applied", "generation 3 ") // or it would be decommissioned again
	f.agent("a", "a")
	f.awaitLog("action.failed", "attestation_plugin", "token_unknown")
	f.token("a", "a")
	f.run("wait", "--for", "converged", "--timeout", "50s")
	f.saidNothingSecret()
}

// A plugin that cannot reach the tokens lets nobody in, and says so; it is asked
// again, and the token is as good as before.
func TestTokensThatCannotBeReachedLetNobodyIn(t *testing.T) {
	f := newTokenFleet(t)
	away := f.executor("--nats=nats://127.0.0.1:1")
	f.apply("a")
	f.token("a", "a")
	f.agent("a", "a")
	f.awaitLog("action.failed", "attestation_plugin", "connect to nats at nats://127.0.0.1:1")
	f.awaitLog("issue-credential", "attempt 3")
	f.stop(away)
	f.executor(f.nats)
	f.run("wait", "--for", "converged", "--timeout", "50s")
	f.awaitLog("enforcement.enabled")
}

// saidNothingSecret ends the fleet and looks for each token and each private
// key in the whole log and in all that the processes have said.
func (f *tokenFleet) saidNothingSecret() {
	f.t.Helper()
	said := map[string]string{
		"the log": f.run("log", "-o", "jsonl") + f.run("log"), "status": f.run("status", "-o", "json"),
		"nodes": f.run("get", "nodes", "-o", "json"), "tokens": f.run("token", "list", "-o", "json"),
	}
	for _, cmd := range f.processes {
		f.stop(cmd)
		said[strings.Join(cmd.Args, " ")] = cmd.Stderr.(*bytes.Buffer).String()
	}
	secrets := f.secrets()
	if len(secrets) < 4*len(f.tokens) {
		f.t.Fatalf("only %d secrets were found", len(secrets))
	}
	for where, text := range said {
		if len(text) < 100 {
			f.t.Errorf("%s says next to nothing: %q", where, text)
		}
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				f.t.Errorf("%s appears in what %s has said", what, where)
			}
		}
	}
}

// secrets are all tokens, and each private key on the disk in the forms in which
// it could be written.
func (f *tokenFleet) secrets() map[string]string {
	f.t.Helper()
	found := map[string]string{}
	for i, token := range f.tokens {
		found["token "+string(rune('1'+i))] = strings.TrimPrefix(token, jointoken.Prefix)
	}
	keys := 0
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		if block == nil || !strings.Contains(block.Type, "PRIVATE KEY") {
			return nil
		}
		keys++
		// The head of PKCS#8 is the same for all keys; what follows it is secret.
		const head = 36
		for i := range 3 { // base64 of a part depends on where it begins
			found[path+" in base64"+string(rune('1'+i))] = base64.RawStdEncoding.EncodeToString(block.Bytes[head+i : head+i+30])
		}
		found[path+" in hex"] = hex.EncodeToString(block.Bytes[head : head+30])
		found[path+" raw"] = string(block.Bytes)
		for n, line := range strings.Split(string(text), "\n") {
			if n > 0 && len(line) == 64 {
				found[path+" line "+string(rune('0'+n))] = line
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if keys < 4 { // a, b, the impostor and the root
		f.t.Fatalf("only %d private keys were found", keys)
	}
	return found
}
