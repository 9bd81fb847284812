package build

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/moby/moby/client"
	"google.golang.org/protobuf/encoding/protowire"

	"plimsoll/checks"
)

// A session answers the questions that BuildKit has during a build.
type session struct {
	id     string
	server *http.Server
}

// The calls of gRPC that are answered: protobuf services of BuildKit and of
// gRPC itself.
const (
	getSecret = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
	isHealthy = "/grpc.health.v1.Health/Check"
)

// openSession opens a connection on which the engine is the client.
func openSession(ctx context.Context, engine *client.Client, secrets map[string]checks.Sensitive) (*session, error) {
	s := &session{id: rand.Text()}
	conn, err := engine.DialHijack(ctx, "/session", "h2c", map[string][]string{
		"X-Docker-Expose-Session-Uuid":        {s.id},
		"X-Docker-Expose-Session-Name":        {"plimsoll"},
		"X-Docker-Expose-Session-Grpc-Method": {getSecret, isHealthy},
	})
	if err != nil {
		return nil, fmt.Errorf("opening a session with the builder: %w", err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Protocols: protocols, Handler: answers(secrets)}
	go s.server.Serve(&single{conn: conn, closed: make(chan struct{})}) // until close
	return s, nil
}

func (s *session) close() { s.server.Close() }

// answers handles the calls of a builder: one message in, one out, each after
// a byte that says that it is not compressed and four with its length.
func answers(secrets map[string]checks.Sensitive) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		reply, code, why := answer(r.URL.Path, r.Body, secrets)
		if code == 0 {
			head := make([]byte, 5, 5+len(reply))
			binary.BigEndian.PutUint32(head[1:], uint32(len(reply)))
			w.Write(append(head, reply...))
		} else {
			w.WriteHeader(http.StatusOK)
		}
		w.Header().Set("Grpc-Status", fmt.Sprint(code))
		w.Header().Set("Grpc-Message", why)
	})
}

// Status codes of gRPC.
const (
	invalidArgument = 3
	notFound        = 5
	unimplemented   = 12
)

func answer(call string, body io.Reader, secrets map[string]checks.Sensitive) (reply []byte, code int, why string) {
	switch call {
	case isHealthy:
		// HealthCheckResponse: status = SERVING.
		return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1), 0, ""
	case getSecret:
		// GetSecretRequest: ID = 1. GetSecretResponse: data = 1.
		id, err := requested(body)
		if err != nil {
			return nil, invalidArgument, err.Error()
		}
		value, ok := secrets[id]
		if !ok {
			return nil, notFound, "no such secret"
		}
		return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), value.Reveal()), 0, ""
	}
	return nil, unimplemented, "not offered"
}

// requested reads the field ID of a GetSecretRequest.
func requested(body io.Reader) (string, error) {
	frame, err := io.ReadAll(io.LimitReader(body, 64<<10))
	if err != nil || len(frame) < 5 || frame[0] != 0 {
		return "", errors.New("a request that cannot be read")
	}
	id := ""
	err = fields(frame[5:], func(n protowire.Number, value []byte) {
		if n == 1 {
			id = string(value)
		}
	})
	return id, err
}

// fields calls each for the fields of a protobuf message that hold bytes.
func fields(message []byte, each func(n protowire.Number, value []byte)) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return protowire.ParseError(n)
			}
			each(number, value)
			message = message[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
	}
	return nil
}

// printed writes what the steps of a build printed to log. The message is
// moby.buildkit.v1.StatusResponse: vertexes = 1 with error = 7, logs = 3 with
// msg = 4. What cannot be read is left out: it is only shown.
func printed(status []byte, log *tail) {
	_ = fields(status, func(n protowire.Number, value []byte) {
		want := map[protowire.Number]protowire.Number{1: 7, 3: 4}[n]
		if want == 0 {
			return
		}
		_ = fields(value, func(n protowire.Number, value []byte) {
			if n != want {
				return
			}
			log.Write(value)
			if want == 7 {
				log.Write([]byte("\n"))
			}
		})
	})
}

// A single is a listener that has one connection to give.
type single struct {
	conn   net.Conn
	closed chan struct{}
}

func (s *single) Accept() (net.Conn, error) {
	if c := s.conn; c != nil {
		s.conn = nil
		return c, nil
	}
	<-s.closed
	return nil, net.ErrClosed
}

func (s *single) Close() error {
	close(s.closed)
	return nil
}

func (s *single) Addr() net.Addr { return &net.UnixAddr{Name: "session"} }
