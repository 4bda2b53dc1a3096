package attack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// tampering changes a file as somebody might who has got at the disk.
type tampering func(t *testing.T, path string)

func write(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

var tamperings = map[string]tampering{
	"is rubbish": func(t *testing.T, path string) { write(t, path, []byte("rubbish"), mode(t, path)) },
	"is empty":   func(t *testing.T, path string) { write(t, path, nil, mode(t, path)) },
	"is cut short": func(t *testing.T, path string) {
		text := read(t, path)
		write(t, path, text[:len(text)/2], mode(t, path))
	},
	"stands twice in its file": func(t *testing.T, path string) { write(t, path, bytes.Repeat(read(t, path), 2), mode(t, path)) },
	"is huge":                  func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("x"), 2<<20), mode(t, path)) },
	"has a bit flipped": func(t *testing.T, path string) {
		text := read(t, path)
		block, _ := pem.Decode(text)
		if block == nil { // a credential: its text is JSON
			write(t, path, bytes.Replace(text, []byte("MII"), []byte("MIJ"), 1), mode(t, path))
			return
		}
		if strings.Contains(block.Type, "PRIVATE") {
			block.Bytes[keyHead+5] ^= 1 // in the number itself
		} else {
			block.Bytes[len(block.Bytes)-2] ^= 1 // in the signature
		}
		write(t, path, pem.EncodeToMemory(block), mode(t, path))
	},
	"can be read by others": func(t *testing.T, path string) { write(t, path, read(t, path), 0o644) },
}

// ends runs a command that should end by itself, and returns what it said.
func (w *world) ends(cmd *cobra.Command, args ...string) (code int, said string) {
	w.t.Helper()
	out := new(clitest.Log) // something may be written when the command has ended
	cmd.SetErr(out)
	cmd.SetArgs(append(args, "--nats", w.url))
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	code = cli.Run(ctx, cmd)
	if ctx.Err() != nil {
		w.t.Errorf("it does not end:\n%s", out)
	}
	return code, out.String()
}

// tampered checks that a program refuses a file by its path, leaves all files of
// the folder as they are, and says nothing of what is in a key.
func (w *world) tampered(folder, file string, tamper tampering, run func() (int, string)) {
	w.t.Helper()
	path := filepath.Join(folder, file)
	before := map[string][]byte{}
	for _, name := range w.files(folder) {
		before[name] = read(w.t, name)
	}
	was := mode(w.t, path)
	tamper(w.t, path)
	spoiled := read(w.t, path)
	code, said := run()
	if code != cli.ExitFailure || !strings.Contains(said, folder) || !strings.Contains(said, file) {
		w.t.Errorf("ends with %d and does not name %s:\n%s", code, path, said)
	}
	if !bytes.Equal(read(w.t, path), spoiled) {
		w.t.Errorf("%s was written", path)
	}
	for name, text := range before {
		if name != path && !bytes.Equal(read(w.t, name), text) {
			w.t.Errorf("%s was written", name)
		}
		if block, _ := pem.Decode(text); block != nil && strings.Contains(block.Type, "PRIVATE") && quotes(said, block.Bytes) {
			w.t.Errorf("it quotes %s:\n%s", name, said)
		}
	}
	write(w.t, path, before[path], was)
}

// keyHead is how many bytes of a key in PKCS#8 come before its number; they are
// the same for all keys of this kind.
const keyHead = 36

// quotes says whether text has a piece of a key in it.
func quotes(text string, der []byte) bool {
	const piece = 15
	for at := keyHead; at+piece < len(der) && at < keyHead+2*piece; at++ {
		if strings.Contains(text, base64.RawStdEncoding.EncodeToString(der[at:at+piece])) || strings.Contains(text, string(der[at:at+piece])) {
			return true
		}
	}
	return false
}

func (w *world) files(folder string) (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, filepath.Join(folder, e.Name()))
		}
	}
	return names
}

// Who finds its key, certificate or credential changed says which file, changes
// nothing, and ends: a program that made itself another would hide the theft.
// Meanwhile the fleet goes on with what was good.
func TestATamperedFileIsRefusedByItsPath(t *testing.T) {
	site := newAuthority(t)
	w := newWorld(t, fleet.AttestorMTLSCert, "n1")
	n1, issuer := equipped(t, site, "n1"), filepath.Join(w.dir, "executor")
	stopAgent := w.run(agentcmd.New(), "--id", "n1", "--dir", n1, "--lease", "2s")
	stopExecutor := w.run(executorcmd.New(), "--dir", issuer, "--attest-ca", site.File)
	r := w.next("n1 signs", func(e *events.Event) bool { return e.Type == events.TypeCredentialProved && e.Node == "n1" })
	serial := r.Event.Data.(*events.CredentialProved).Serial
	stopAgent()

	agentRuns := func() (int, string) { return w.ends(agentcmd.New(), "--id", "n1", "--dir", n1, "--lease", "2s") }
	executorRuns := func() (int, string) {
		return w.ends(executorcmd.New(), "--dir", issuer, "--attest-ca", site.File)
	}
	each := func(folder, file string, run func() (int, string)) {
		for does, tamper := range tamperings {
			if does == "can be read by others" && (file == "ca.crt" || file == agent.CredentialFile) {
				continue // no secret
			}
			t.Run(file+" "+does, func(t *testing.T) {
				w.t = t
				w.tampered(folder, file, tamper, run)
			})
		}
		w.t = t
	}
	// The agent tells an executor before it ends, and the executor tells for itself.
	each(n1, agent.KeyFile, agentRuns)
	each(n1, agent.CredentialFile, agentRuns)
	w.showsFiles(n1, "n1", identity.FileDamaged, identity.FilePermissions)
	stopExecutor()
	each(filepath.Join(issuer, "ca"), "ca.key", executorRuns)
	each(filepath.Join(issuer, "ca"), "ca.crt", executorRuns)
	w.showsFiles(issuer, "", identity.FileDamaged, identity.FilePermissions)
	// As they were, they are good again: the node signs with the credential it had.
	w.start(agentcmd.New(), "--id", "n1", "--dir", n1, "--lease", "2s")
	w.start(executorcmd.New(), "--dir", issuer, "--attest-ca", site.File)
	w.next("n1 is back", func(e *events.Event) bool { return e.Type == events.TypeNodeAppeared && e.Node == "n1" })
	w.onlyProved("n1")
	if !strings.Contains(string(read(t, filepath.Join(n1, agent.CredentialFile))), serial) {
		t.Error("its credential is another")
	}
}

// showsFiles waits until the log shows for each of these reasons that a file of the
// folder was refused.
func (w *world) showsFiles(folder string, id fleet.NodeID, reasons ...fleet.Reason) {
	w.t.Helper()
	missing := make(map[fleet.Reason]bool)
	for _, reason := range reasons {
		missing[reason] = true
	}
	for len(missing) > 0 {
		r := w.next(fmt.Sprintf("files of %s are refused for each of %v", folder, missing), func(e *events.Event) bool {
			d, ok := e.Data.(*events.MessageRefused)
			return ok && d.Channel == events.RefusedFile && d.Node == id
		})
		d := r.Event.Data.(*events.MessageRefused)
		text := logline.Text(r)
		if !strings.Contains(text, fmt.Sprintf("file: %s", d.Reason)) || !strings.Contains(text, string(id)) || !strings.Contains(d.Detail, folder) {
			w.t.Errorf("the log shows %q, with no file of %s", text, folder)
		}
		delete(missing, d.Reason)
	}
}

// run runs a command until stop is called.
func (w *world) run(cmd *cobra.Command, args ...string) (stop func()) {
	w.t.Helper()
	cmd.SetErr(new(clitest.Log))
	cmd.SetArgs(append(args, "--nats", w.url))
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(ctx, cmd) }()
	return func() {
		cancel()
		if code := <-ended; code != 0 {
			w.t.Errorf("%s ends with code %d", cmd.Name(), code)
		}
	}
}
