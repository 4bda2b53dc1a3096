package executorcmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestHelp(t *testing.T) { clitest.CheckHelp(t, New()) }

func TestTokensAreForgottenWhereTheyWereAskedFor(t *testing.T) {
	for plugin, want := range map[string]bool{
		"fleetfold token verify": true, "/usr/bin/fleetfold token verify --nats nats://a:4222": true,
		"": false, "token verify": false, "fleetfold token": false, "my-plugin --for token": false, "fleetfold verify token": false,
	} {
		if got := (&attestFlags{plugin: plugin}).asksForTokens(); got != want {
			t.Errorf("%q: %v, want %v", plugin, got, want)
		}
	}
}

func TestMisuseIsSaidBeforeAnythingIsConnected(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no folder":          {nil, "--dir is required"},
		"too many at once":   {[]string{"--dir", "d", "--concurrency", "257"}, "--concurrency is 257, must be 1 to 256"},
		"no time to sign":    {[]string{"--dir", "d", "--ca-key-timeout", "0s"}, "--ca-key-timeout is 0s"},
		"no time to enrol":   {[]string{"--dir", "d", "--enroll-timeout", "0s"}, "--enroll-timeout is 0s"},
		"a lease of half":    {[]string{"--dir", "d", "--lease", "1500ms"}, "--lease is 1.5s"},
		"a lease too long":   {[]string{"--dir", "d", "--lease", "2h"}, "--lease is 2h0m0s, must be whole seconds from 1s to 1h"},
		"two replicas":       {[]string{"--dir", "d", "--replicas", "2"}, "--replicas is 2, must be 1, 3 or 5"},
		"a driver not known": {[]string{"--dir", "d", "--driver", "ssh"}, "must be one of wait, local"},
		"a prefix of two":    {[]string{"--dir", "d", "--prefix", "a.b"}, "a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			cmd := New()
			cmd.SetArgs(c.args)
			cmd.SetOut(&out)
			cmd.SetErr(&errs)
			if code := cli.Run(t.Context(), cmd); code != cli.ExitUsage || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit code %d, %s", code, errs.String())
			}
		})
	}
}
