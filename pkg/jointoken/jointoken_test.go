package jointoken_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/jointoken"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestMain(m *testing.M) { leak.Main(m) }

// office is a real server with tokens, and a clock to pass time by.
type office struct {
	jointoken.Tokens
	t      *testing.T
	server *natsd.Server
	clock  time.Time
}

func open(t *testing.T) *office {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	o := &office{t: t, server: server, clock: time.Now()}
	o.Tokens = o.another()
	return o
}

// another are the same tokens by another connection, as of another executor.
func (o *office) another() jointoken.Tokens {
	o.t.Helper()
	bus, err := eventlog.Connect(o.t.Context(), eventlog.Options{InProcess: o.server, Name: o.t.Name()})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(bus.Close)
	if err := bus.EnsureTokens(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	return jointoken.Tokens{Store: bus, Now: func() time.Time { return o.clock }}
}

func (o *office) create(node fleet.NodeID) (string, jointoken.Record) {
	o.t.Helper()
	token, r, err := o.Create(o.t.Context(), node, time.Minute, "ann", "rack 7")
	if err != nil {
		o.t.Fatal(err)
	}
	return token, r
}

// show verifies as an executor asks.
func (o *office) show(token string, node fleet.NodeID, key string) fleet.Reason {
	o.t.Helper()
	err := o.Verify(o.t.Context(), attest.Question{Node: node, KeyFingerprint: key, Payload: token})
	if err != nil && fleet.ReasonOf(err) == "" {
		o.t.Fatal(err)
	}
	if secret := strings.TrimPrefix(token, jointoken.Prefix); err != nil && secret != "" && strings.Contains(err.Error(), secret) {
		o.t.Errorf("the refusal quotes the token: %v", err)
	}
	return fleet.ReasonOf(err)
}

func TestATokenAdmitsOneNodeWithOneKey(t *testing.T) {
	o := open(t)
	for sentence, c := range map[string]struct {
		// before is what has happened to the token.
		before func(token string, r jointoken.Record)
		node   fleet.NodeID
		key    string
		want   fleet.Reason
	}{
		"it is shown in time":               {nil, "n1", "k1", ""},
		"it is shown for another node":      {nil, "n2", "k1", jointoken.ReasonNode},
		"it is shown too late":              {func(string, jointoken.Record) { o.clock = o.clock.Add(time.Minute) }, "n1", "k1", jointoken.ReasonExpired},
		"it is shown a moment before that":  {func(string, jointoken.Record) { o.clock = o.clock.Add(time.Minute - 1) }, "n1", "k1", ""},
		"it is shown again by the same key": {func(token string, _ jointoken.Record) { o.show(token, "n1", "k1") }, "n1", "k1", ""},
		"it is shown again by the same key after its time": {func(token string, _ jointoken.Record) {
			o.show(token, "n1", "k1")
			o.clock = o.clock.Add(1000 * time.Hour)
		}, "n1", "k1", ""},
		"it was spent by another key":               {func(token string, _ jointoken.Record) { o.show(token, "n1", "k1") }, "n1", "k2", jointoken.ReasonSpent},
		"another node tried it before":              {func(token string, _ jointoken.Record) { o.show(token, "n2", "k2") }, "n1", "k1", ""},
		"it was spent by the key, for another node": {func(token string, _ jointoken.Record) { o.show(token, "n1", "k1") }, "n2", "k1", jointoken.ReasonNode},
		"it was revoked":                            {func(_ string, r jointoken.Record) { o.revoke(r.ID) }, "n1", "k1", jointoken.ReasonUnknown},
		"it was spent and revoked":                  {func(token string, r jointoken.Record) { o.show(token, "n1", "k1"); o.revoke(r.ID) }, "n1", "k1", jointoken.ReasonUnknown},
		"its node was decommissioned":               {func(token string, r jointoken.Record) { o.show(token, "n1", "k1"); o.forget("n1") }, "n1", "k1", jointoken.ReasonUnknown},
		"another was decommissioned":                {func(token string, r jointoken.Record) { o.show(token, "n1", "k1"); o.forget("n2") }, "n1", "k1", ""},
		"it waited for the node to come back":       {func(string, jointoken.Record) { o.forget("n1") }, "n1", "k1", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			o.t = t
			token, r := o.create("n1")
			if c.before != nil {
				c.before(token, r)
			}
			if got := o.show(token, c.node, c.key); got != c.want {
				t.Errorf("refused for %q, want %q", got, c.want)
			}
		})
	}
}

func (o *office) revoke(id string) {
	o.t.Helper()
	if err := o.Revoke(o.t.Context(), id); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) forget(node fleet.NodeID) {
	o.t.Helper()
	if err := o.Forget(o.t.Context(), node); err != nil {
		o.t.Fatal(err)
	}
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	o := open(t)
	token, _ := o.create("n1")
	secret := strings.TrimPrefix(token, jointoken.Prefix)
	for sentence, c := range map[string]struct {
		token string
		want  fleet.Reason
	}{
		"nothing":                    {"", jointoken.ReasonMalformed},
		"the prefix alone":           {jointoken.Prefix, jointoken.ReasonMalformed},
		"the secret alone":           {secret, jointoken.ReasonMalformed},
		"one character too few":      {token[:len(token)-1], jointoken.ReasonMalformed},
		"one character too many":     {token + "A", jointoken.ReasonMalformed},
		"lower case":                 {strings.ToLower(token), jointoken.ReasonMalformed},
		"a subject":                  {jointoken.Prefix + strings.Repeat(".*.>", 7)[:26], jointoken.ReasonMalformed},
		"a guess":                    {jointoken.Prefix + strings.Repeat("A", 26), jointoken.ReasonUnknown},
		"with white space around it": {" " + token + "\r\n", ""},
	} {
		if got := o.show(c.token, "n1", "k1"); got != c.want {
			t.Errorf("%s: refused for %q, want %q", sentence, got, c.want)
		}
	}
	for what, q := range map[string]attest.Question{"node": {KeyFingerprint: "k", Payload: token}, "key": {Node: "n1", Payload: token}} {
		if err := o.Verify(t.Context(), q); err == nil || fleet.ReasonOf(err) != "" {
			t.Errorf("a question without a %s: %v", what, err)
		}
	}
}

// Two executors cannot spend one token for two keys.
func TestOfManyKeysOneSpendsAToken(t *testing.T) {
	o := open(t)
	token, r := o.create("n1")
	const many = 8
	got := make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		tokens := o.another()
		all.Go(func() {
			got[i] = tokens.Verify(t.Context(), attest.Question{Node: "n1", KeyFingerprint: string(rune('a' + i)), Payload: token})
		})
	}
	all.Wait()
	list, err := o.List(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != r.ID || list[0].State(o.clock) != jointoken.Spent {
		t.Fatalf("listed are %+v, %v", list, err)
	}
	for i, err := range got {
		mine := list[0].KeyFingerprint == string(rune('a'+i))
		if mine && err != nil || !mine && fleet.ReasonOf(err) != jointoken.ReasonSpent {
			t.Errorf("key %c: %v, and bound to %s", 'a'+i, err, list[0].KeyFingerprint)
		}
	}
}

func TestOnlyTheHashIsStored(t *testing.T) {
	o := open(t)
	token, r := o.create("region/nyc/n1")
	stored, _, err := o.Store.Token(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimPrefix(token, jointoken.Prefix)
	if strings.Contains(string(stored), secret) || !strings.HasPrefix(token, jointoken.Prefix) || len(secret) != 26 {
		t.Errorf("stored is %s, of token %s", stored, token)
	}
	var back jointoken.Record
	if err := json.Unmarshal(stored, &back); err != nil || back.Actor != "ann" || back.Note != "rack 7" || back.Node != "region/nyc/n1" || back.State(o.clock) != jointoken.Unspent {
		t.Errorf("stored is %+v, %v", back, err)
	}
	if back.State(back.Expires) != jointoken.Expired {
		t.Errorf("at its end it is %s", back.State(back.Expires))
	}
	another, _ := o.create("n1")
	if another == token {
		t.Error("two tokens are equal")
	}
}

func TestABoundOfTime(t *testing.T) {
	o := open(t)
	for _, ttl := range []time.Duration{-time.Second, 0, time.Second - 1, jointoken.MaxTTL + 1} {
		if token, _, err := o.Create(t.Context(), "n1", ttl, "ann", ""); err == nil || token != "" {
			t.Errorf("a token of %s is made", ttl)
		}
	}
}

func TestRevokeNamesOneThatIsThere(t *testing.T) {
	o := open(t)
	token, _ := o.create("n1")
	if err := o.Revoke(t.Context(), "0123456789abcdef"); !errors.Is(err, eventlog.ErrNoToken) {
		t.Errorf("of one that is not there: %v", err)
	}
	for _, id := range []string{"", token, ">", "0123456789ABCDEF"} {
		if err := o.Revoke(t.Context(), id); err == nil || errors.Is(err, eventlog.ErrNoToken) || id != "" && strings.Contains(err.Error(), id) {
			t.Errorf("of %q: %v", id, err)
		}
	}
}

// A server that is away refuses nobody: it says that it could not be told.
func TestAServerThatIsAwayIsNoRefusal(t *testing.T) {
	o := open(t)
	token, _ := o.create("n1")
	o.server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := o.Verify(ctx, attest.Question{Node: "n1", KeyFingerprint: "k1", Payload: token})
	if err == nil || fleet.ReasonOf(err) != "" || strings.Contains(err.Error(), strings.TrimPrefix(token, jointoken.Prefix)) {
		t.Errorf("got %v", err)
	}
}
