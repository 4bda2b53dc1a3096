package rollout

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

const (
	lease     = 10 * time.Second
	postEvery = 10 * time.Millisecond
)

// agent is one that runs by its command.
type agent struct {
	*site
	dir, url, metrics string
	log               clitest.Log
	stop              context.CancelFunc
	ended             chan int
	attacks           map[fleet.Reason]float64
}

// start runs an agent for each node, each of which posts to all others.
func (s *site) start(ids ...fleet.NodeID) {
	s.Helper()
	for _, id := range ids {
		s.agents[id] = &agent{
			site: s, dir: filepath.Join(s.dir, "nodes", string(id)), url: "http://" + port.At(port.Hold(s.T)),
			ended: make(chan int, 1), attacks: make(map[fleet.Reason]float64),
		}
	}
	for _, id := range ids {
		a := s.agents[id]
		s.must(s.clients.Equip(id, a.dir))
		var peers []string
		for _, other := range ids {
			if other != id {
				peers = append(peers, s.agents[other].url)
			}
		}
		var ctx context.Context
		ctx, a.stop = context.WithCancel(s.ctx)
		cmd := agentcmd.New()
		cmd.SetErr(&a.log)
		cmd.SetArgs([]string{
			"--id", string(id), "--dir", a.dir, "--nats", s.server.URL(), "--lease", lease.String(), "--listen", "127.0.0.1:0", "--log-format", "json",
			"--receive", strings.TrimPrefix(a.url, "http://"), "--posts", strings.Join(peers, ","), "--post-every", postEvery.String(),
		})
		go func() { a.ended <- cli.Run(ctx, cmd) }()
		s.Cleanup(func() { a.stop() })
		a.metrics = fmt.Sprintf("http://%v/metrics", a.log.Wait(s.ctx, s.T, "serving health and metrics")["address"])
	}
}

// metric is the value of a line of the agent's metrics, 0 for one that is not there.
func (a *agent) metric(line string) float64 {
	a.Helper()
	_, body := clitest.Get(a.ctx, a.T, a.metrics)
	found := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(line) + ` (\S+)$`).FindStringSubmatch(body)
	if found == nil {
		return 0
	}
	value, err := strconv.ParseFloat(found[1], 64)
	a.must(err)
	return value
}

func (a *agent) until(what string, condition func() bool) {
	a.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			a.Fatalf("%s never came\n%s", what, &a.log)
		}
	}
}

// hears waits until the receiver knows the posture of that sequence.
func (a *agent) hears(sequence uint64) {
	a.Helper()
	a.until("the posture", func() bool { return a.metric("fleetfold_receiver_posture_sequence") >= float64(sequence) })
}

const accepted = `fleetfold_posts_received_total{reason="",result="accepted"}`

// takes waits until more verified posts have come.
func (a *agent) takes(more float64) {
	a.Helper()
	from := a.metric(accepted)
	a.until("verified posts", func() bool { return a.metric(accepted) >= from+more })
}

// attack posts to the agent, signed by c unless that is nil, and wants the answer.
// The second return says whether it got it.
func (a *agent) attack(c *receiver.Credential, status int, reason fleet.Reason) bool {
	a.Helper()
	req, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.url, strings.NewReader("{}"))
	a.must(err)
	req.Close = true
	for name, value := range map[string]string{"Ce-Specversion": "1.0", "Ce-Id": rand.Text(), "Ce-Type": "attack", "Ce-Source": "stranger"} {
		req.Header.Set(name, value)
	}
	client := http.Client{Transport: &receiver.Transport{Credential: func() (*receiver.Credential, func(), error) { return c, nil, nil }}}
	answer, err := client.Do(req)
	a.must(err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	a.must(err)
	got := fleet.Reason(answer.Header.Get(receiver.ReasonHeader))
	if got != "" && got != receiver.PostureUnknown { // which refuses nothing: it says to come again
		a.attacks[got]++
	}
	return answer.StatusCode == status && got == reason
}

// end stops the agent and returns what it says of its posts.
func (a *agent) end() (sent, received map[string]any) {
	a.Helper()
	a.stop()
	return a.gone()
}

func (a *agent) gone() (sent, received map[string]any) {
	a.Helper()
	select {
	case code := <-a.ended:
		if code != 0 {
			a.Errorf("exit code %d\n%s", code, &a.log)
		}
	case <-a.ctx.Done():
		a.Fatalf("an agent does not end\n%s", &a.log)
	}
	return a.log.Wait(a.ctx, a.T, "posts sent"), a.log.Wait(a.ctx, a.T, "posts received")
}

// stranger has a credential of an issuer that nobody knows.
func stranger(t *testing.T, domain string, id fleet.NodeID) *receiver.Credential {
	t.Helper()
	ca, _, err := identity.LoadOrCreateCA(t.TempDir(), domain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return issued(t, ca, domain, id)
}

// crossing has a credential that the intermediate of a region signed for a node of
// another.
func (s *site) crossing(region string, id fleet.NodeID) *receiver.Credential {
	s.Helper()
	root, created, err := identity.OpenCA(identity.CAConfig{Dir: s.caDir(), TrustDomain: domain}, time.Now())
	if err != nil || created {
		s.Fatalf("the root is made anew: %v, %v", created, err)
	}
	ca, created, err := identity.OpenCA(identity.CAConfig{
		Dir: filepath.Join(s.caDir(), "regions", region, region), TrustDomain: domain, Region: region, Parent: root,
	}, time.Now())
	if err != nil || created {
		s.Fatalf("the intermediate is made anew: %v, %v", created, err)
	}
	return issued(s.T, ca, domain, id)
}

// issued is a credential by ca, whoever asked.
func issued(t *testing.T, ca *identity.CA, domain string, id fleet.NodeID) *receiver.Credential {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := identity.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := identity.ParseCSR(text)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(csr, id, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &receiver.Credential{Key: key, ChainPEM: issued.CertificatePEM, ID: "spiffe://" + domain + "/" + string(id)}
}
