package receiver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// served is a receiver behind a real server, and what got through to its application.
type served struct {
	*world
	url     string
	client  *http.Client
	holder  *Credential
	post    *Post
	sender  Sender
	body    []byte
	header  http.Header
	through int
}

func serve(t *testing.T) *served {
	t.Helper()
	s := new(served)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.through++
			s.post, _ = PostOf(r.Context())
			s.sender, _ = SenderOf(r.Context())
			s.body, _ = io.ReadAll(r.Body)
			s.header = r.Header
			w.WriteHeader(http.StatusNoContent)
		})).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.world = newWorld(t, func(c *Config) { c.Audiences = []string{strings.ToUpper(server.URL) + "/some/path"} })
	s.url, s.holder = server.URL, s.world.holder("n1")
	base := server.Client().Transport
	s.client = &http.Client{Transport: &Transport{Base: base, Credential: func() (*Credential, func(), error) { return s.holder, nil, nil }, Now: func() time.Time { return s.now }}}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// send sends a request and wants that answer.
func (s *served) send(why string, header map[string]string, body string, status int, reason fleet.Reason) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.TB.(*testing.T).Context(), http.MethodPost, s.url+"/posts", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for name, value := range header {
		req.Header[name] = []string{value}
	}
	answer, err := s.client.Do(req)
	if err != nil {
		s.Fatalf("%s: %v", why, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	if answer.StatusCode != status || answer.Header.Get(ReasonHeader) != string(reason) {
		s.Errorf("%s: answered %s %s %s, want %d %s", why, answer.Status, answer.Header.Get(ReasonHeader), text, status, reason)
	}
	if reason == "" {
		return
	}
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil || a.Reason != reason || a.Detail == "" {
		s.Errorf("%s: body is %s", why, text)
	}
	if status == 401 != (answer.Header.Get("WWW-Authenticate") != "") || status == 503 != (answer.Header.Get("Retry-After") != "") {
		s.Errorf("%s: headers are %v", why, answer.Header)
	}
}

func headers(more ...string) map[string]string {
	h := map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Type": "example.measured", "ce-source": "app",
		"Ce-Subject": "Euro%20%E2%82%AC",
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

const structuredType = "application/cloudevents+json; charset=utf-8"

func TestPostsOverHTTP(t *testing.T) {
	s := serve(t)
	s.send("binary mode", headers("Ce-Other", "x"), "{\"v\": 1}", 204, "")
	if !s.sender.Verified || s.sender.Node != "n1" || s.post.Subject != "Euro €" || string(s.body) != `{"v": 1}` || s.post.Source != s.holder.ID {
		t.Errorf("got through as %+v, %+v, %q", s.sender, s.post, s.body)
	}
	if s.header.Get("Ce-Other") != "" || s.header.Get("Ce-Id") != "1" || s.header.Get("Ce-Audience") != s.url {
		t.Errorf("headers are %v", s.header)
	}
	s.send("structured mode", map[string]string{"Content-Type": structuredType},
		`{"specversion":"1.0","id":"2","type":"t","source":"app", "other": 7, "data": { "v":  "<1>" } }`, 204, "")
	if !s.sender.Verified || string(s.post.Data) != `{ "v":  "<1>" }` || s.post.ID != "2" || len(s.post.Extensions) != 2 {
		t.Errorf("got through as %+v, %+v", s.sender, s.post)
	}
	s.send("structured mode with base64", map[string]string{"Content-Type": structuredType},
		`{"specversion":"1.0","id":"3","type":"t","source":"app","datacontenttype":"application/octet-stream","data_base64":"8J+koQ=="}`, 204, "")
	if string(s.post.Data) != "\xf0\x9f\xa4\xa1" {
		t.Errorf("data is %q", s.post.Data)
	}
	s.send("structured mode with text", map[string]string{"Content-Type": structuredType},
		`{"specversion":"1.0","id":"4","type":"t","source":"app","datacontenttype":"text/plain","data":"a\nb"}`, 204, "")
	if string(s.post.Data) != "a\nb" {
		t.Errorf("data is %q", s.post.Data)
	}
	s.send("no data at all", map[string]string{"Content-Type": structuredType}, `{"specversion":"1.0","id":"5","type":"t","source":"app"}`, 204, "")
	s.send("again", headers(), "{\"v\": 1}", 401, Replayed)

	credential := s.holder
	s.holder = nil
	s.send("unsigned while strict", headers("Ce-Id", "6"), "{}", 401, Unsigned)
	s.source.trust.Posture.Strict = false
	s.send("unsigned while permissive", headers("Ce-Id", "6"), "{}", 204, "")
	if s.sender.Verified || s.sender.Doubt != Unsigned || s.post.Source != "app" {
		t.Errorf("got through as %+v", s.sender)
	}
	s.source.trust.Known = false
	s.holder = credential
	s.send("unknown posture", headers("Ce-Id", "7"), "{}", 503, PostureUnknown)
	if s.through != 6 {
		t.Errorf("%d got through", s.through)
	}
}

func TestWhatIsNoPost(t *testing.T) {
	s := serve(t)
	s.source.trust.Posture.Strict = false
	s.holder = nil
	structured := func(body string) (map[string]string, string) {
		return map[string]string{"Content-Type": structuredType}, body
	}
	many := headers()
	for i := range maxHeaders {
		many["X-"+strings.Repeat("a", i+1)] = "1"
	}
	extensions := headers()
	for i := range maxExtensions + 1 {
		extensions["Ce-"+strings.Repeat("a", i+1)] = "1"
	}
	for why, c := range map[string]struct {
		header map[string]string
		body   string
		status int
		reason fleet.Reason
	}{
		"no event":                {map[string]string{"Content-Type": "application/json"}, "{}", 400, NoEvent},
		"a batch":                 {map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "[]", 415, UnsupportedMode},
		"another format":          {map[string]string{"Content-Type": "application/cloudevents+avro"}, "", 415, UnsupportedMode},
		"another version":         {headers("Ce-Specversion", "0.3"), "", 400, BadEvent},
		"no id":                   {headers("Ce-Id", ""), "", 400, BadEvent},
		"a time that is none":     {headers("Ce-Time", "yesterday"), "", 400, BadEvent},
		"a proof that is none":    {headers("Ce-Dssematerial", "%%"), "", 400, BadEvent},
		"an empty proof":          {headers("Ce-Dssematerial", ""), "", 400, BadEvent},
		"overlong UTF-8":          {headers("Ce-Id", "%C0%A0"), "", 400, BadEvent},
		"two content types":       {headers("Ce-Datacontenttype", "text/plain"), "", 400, BadEvent},
		"an attribute named data": {headers("Ce-Data", "x"), "", 400, BadEvent},
		"a name with a dash":      {headers("Ce-A-B", "x"), "", 400, BadEvent},
		"a long attribute":        {headers("Ce-Long", strings.Repeat("x", maxAttribute+1)), "", 413, TooLarge},
		"many extensions":         {extensions, "", 413, TooLarge},
		"many headers":            {many, "", 413, TooLarge},
	} {
		s.send(why, c.header, c.body, c.status, c.reason)
	}
	for why, body := range map[string]string{
		"not JSON": "x", "a list": "[]", "nothing": "", "cut off": `{"id":"1"`, "two objects": `{"specversion":"1.0","id":"1","type":"t","source":"s"}{}`,
		"a name twice": `{"specversion":"1.0","id":"1","id":"2","type":"t","source":"s"}`,
		"no version":   `{"id":"1","type":"t","source":"s"}`,
		"no source":    `{"specversion":"1.0","id":"1","type":"t"}`,
		"both kinds":   `{"specversion":"1.0","id":"1","type":"t","source":"s","data":1,"data_base64":"AA=="}`,
		"bad base64":   `{"specversion":"1.0","id":"1","type":"t","source":"s","data_base64":"!"}`,
		"a float":      `{"specversion":"1.0","id":"1","type":"t","source":"s","x":1.5}`,
		"an object":    `{"specversion":"1.0","id":"1","type":"t","source":"s","x":{}}`,
		"not UTF-8":    "{\"specversion\":\"1.0\",\"id\":\"\xff\",\"type\":\"t\",\"source\":\"s\"}",
		"deep JSON":    `{"specversion":"1.0","id":"1","type":"t","source":"s","data":` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + `}`,
	} {
		header, body := structured(body)
		s.send(why, header, body, 400, BadEvent)
	}
	if s.through != 0 {
		t.Errorf("%d got through", s.through)
	}
}

// endless is a body that says nothing of its length.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }

func TestLargeBodiesAreNotRead(t *testing.T) {
	w := newWorld(t, nil)
	handler := w.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a large body got through") }))
	without := new(endless)
	for why, c := range map[string]struct {
		body io.Reader
		size int64
	}{
		"8 MB": {strings.NewReader(strings.Repeat("x", 8<<20)), 8 << 20}, "one byte too many": {strings.NewReader(strings.Repeat("x", MaxBodyBytes+1)), MaxBodyBytes + 1},
		"no end": {without, -1},
	} {
		req := httptest.NewRequest(http.MethodPost, here, c.body)
		req.ContentLength = c.size
		for name, value := range headers() {
			req.Header.Set(name, value)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		if answer.Code != http.StatusRequestEntityTooLarge || answer.Header().Get(ReasonHeader) != string(TooLarge) {
			t.Errorf("%s: answered %d %s", why, answer.Code, answer.Body)
		}
	}
	if without.read > 4*MaxBodyBytes {
		t.Errorf("%d bytes were read of a body without end", without.read)
	}
	s := serve(t)
	for _, size := range []int{MaxBodyBytes, MaxBodyBytes + 1} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range headers() {
			req.Header.Set(name, value)
		}
		answer, err := s.client.Do(req)
		if sent := err == nil && answer.Body.Close() == nil && answer.StatusCode == 204; sent != (size == MaxBodyBytes) {
			t.Errorf("a body of %d bytes was sent: %v, %v", size, sent, err)
		}
	}
}

// A header in two cases would be one attribute to one reader and another to the next.
func TestAnAttributeInTwoSpellingsIsRefused(t *testing.T) {
	for _, header := range []map[string][]string{
		{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "Ce-Id": {"2"}, "ce-type": {"t"}, "ce-source": {"s"}},
		{"ce-specversion": {"1.0"}, "ce-id": {"1", "2"}, "ce-type": {"t"}, "ce-source": {"s"}},
		{"ce-specversion": {"1.0"}, "CE-Specversion": {"1.0"}, "ce-id": {"1"}, "ce-type": {"t"}, "ce-source": {"s"}},
	} {
		_, err := modeOf(header)
		if err == nil {
			_, err = readHeaders(header, nil, true)
		}
		if fleet.ReasonOf(err) != BadEvent {
			t.Errorf("%v: %v", header, err)
		}
	}
}

// The SDK writes what this package signs and reads what it signed.
func TestTheSDKAgrees(t *testing.T) {
	s := serve(t)
	e := cloudevent.New()
	e.SetID("1")
	e.SetSource("app")
	e.SetType("t")
	e.SetTime(t0)
	e.SetExtension("flag", true)
	if err := e.SetData("application/json", map[string]string{"a": "<b>"}); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	s.send("the SDK's", map[string]string{"Content-Type": structuredType}, string(text), 204, "")
	if !bytes.Equal(s.post.Data, e.Data()) {
		t.Errorf("data is %s, the SDK's %s", s.post.Data, e.Data())
	}
	var back cloudevent.Event
	if err := json.Unmarshal(s.body, &back); err != nil || back.Validate() != nil {
		t.Fatalf("the SDK does not read %s: %v, %v", s.body, err, back.Validate())
	}
	proof, _ := back.Extensions()[identity.ProofAttribute].(string)
	if raw, err := base64.StdEncoding.DecodeString(proof); err != nil || !bytes.Equal(raw, s.post.Proof) {
		t.Errorf("the SDK reads another proof: %q", proof)
	}
	if !bytes.Equal(back.Data(), s.post.Data) || back.Source() != s.holder.ID || back.Extensions()[AudienceAttribute] != s.url {
		t.Errorf("the SDK reads %v", back)
	}
}

func TestATransportTellsWhenAPostHasEnded(t *testing.T) {
	s := serve(t)
	s.source.trust.Posture.Strict = false
	began, ended := 0, 0
	s.client.Transport.(*Transport).Credential = func() (*Credential, func(), error) {
		began++
		return nil, func() {
			if ended++; s.through != 1 {
				t.Error("the post is said to have ended before it arrived")
			}
		}, nil
	}
	s.send("unsigned", headers(), "{}", 204, "")
	s.send("no event", map[string]string{"Content-Type": "text/plain"}, "x", 400, NoEvent)
	s.client.Transport.(*Transport).Credential = func() (*Credential, func(), error) { return nil, nil, io.ErrUnexpectedEOF }
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Ce-Specversion", "1.0")
	if _, err := s.client.Do(req); !errors.Is(err, io.ErrUnexpectedEOF) || s.through != 1 {
		t.Errorf("a post that must not be sent: %v", err)
	}
	if began != 1 || ended != 1 {
		t.Errorf("%d began and %d ended", began, ended)
	}
}

func TestAudienceIsTheOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"http://A.example:80/x?y": "http://a.example", "https://a.example:443": "https://a.example", "https://a.example:80/": "https://a.example:80",
		"HTTP://[::1]:8083/": "http://[::1]:8083", "http://[::1]:80": "http://[::1]",
	} {
		u, err := url.Parse(in)
		if err != nil || Audience(u) != want {
			t.Errorf("%s: %s, %v", in, Audience(u), err)
		}
	}
}
