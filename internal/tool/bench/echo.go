package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

// echoArgument makes this program the bare server.
const echoArgument = "-echo-server"

// serveEcho sends every message back, and does nothing else: what is left of a call when the node's part is taken away.
// It is tuned as the node's gateway is. It prints its address and ends when its standard output's reader does.
func serveEcho(w io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{Handler: echoHandler(), ReadHeaderTimeout: 10 * time.Second}
	return srv.Serve(l)
}

func echoHandler() http.Handler {
	upgrader := gws.NewUpgrader(echo{}, &gws.ServerOption{ReadBufferSize: 512, CheckUtf8Enabled: true, Logger: silent{},
		SubProtocols: []string{"ocpp2.0.1", "ocpp1.6"}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hijacker, ok := w.(http.Hijacker)
		if !ok {
			http.Error(w, "this server cannot upgrade", http.StatusInternalServerError)
			return
		}
		conn, _, err := hijacker.Hijack()
		if err != nil {
			return // it is broken already
		}
		if err := conn.SetDeadline(time.Time{}); err != nil {
			_ = conn.Close() // as above
			return
		}
		socket, err := upgrader.UpgradeFromConn(conn, bufio.NewReaderSize(conn, 512), r)
		if err != nil {
			return // the client hears it
		}
		go socket.ReadLoop()
	})
}

type echo struct{ gws.BuiltinEventHandler }

func (echo) OnMessage(c *gws.Conn, m *gws.Message) {
	_ = c.WriteMessage(m.Opcode, m.Bytes()) // a broken connection ends the read loop
	_ = m.Close()                           // only gives the buffer back
}

type silent struct{}

func (silent) Error(...any) {}
