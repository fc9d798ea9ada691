// Command interop is the peer of interop.test.ts: containerd's own ttrpc library on either side of the Echo service.
// StringValue has the wire format of EchoRequest and EchoReply with nothing but text, so no generated code is needed.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "ttrpc.test.v1.Echo"

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: interop client|server SOCKET")
	}
	var err error
	if os.Args[1] == "client" {
		err = client(os.Args[2])
	} else {
		err = server(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func client(path string) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	c := ttrpc.NewClient(conn)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	var reply wrapperspb.StringValue
	md := ttrpc.WithMetadata(ctx, ttrpc.MD{"key": {"value"}})
	if err := c.Call(md, service, "Say", wrapperspb.String("hello"), &reply); err != nil {
		return fmt.Errorf("say: %w", err)
	}
	fmt.Println("say", reply.Value)
	err = c.Call(ctx, service, "Say", wrapperspb.String("missing"), &reply)
	fmt.Println("missing", status.Code(err), status.Convert(err).Message())
	fmt.Println("unknown", status.Code(c.Call(ctx, service, "Nothing", wrapperspb.String(""), &reply)))
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	fmt.Println("hang", c.Call(short, service, "Say", wrapperspb.String("hang"), &reply) != nil)

	count, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, service, "Count", wrapperspb.String("n"))
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if err := receiveAll("count", count); err != nil {
		return err
	}
	collect, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, service, "Collect", nil)
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	if err := sendAll(collect); err != nil {
		return err
	}
	if err := collect.RecvMsg(&reply); err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	fmt.Println("collect", reply.Value)
	both := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	chat, err := c.NewStream(ctx, both, service, "Chat", nil)
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	if err := sendAll(chat); err != nil {
		return err
	}
	return receiveAll("chat", chat)
}

func sendAll(stream ttrpc.ClientStream) error {
	for _, text := range []string{"a", "b"} {
		if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

func receiveAll(name string, stream ttrpc.ClientStream) error {
	for {
		var reply wrapperspb.StringValue
		err := stream.RecvMsg(&reply)
		if err == io.EOF {
			fmt.Println(name, "end")
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(name, reply.Value)
	}
}

func server(path string) error {
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	s.RegisterService(service, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Say": say},
		Streams: map[string]ttrpc.Stream{
			"Count":   {Handler: count, StreamingServer: true},
			"Collect": {Handler: collect, StreamingClient: true},
			"Chat":    {Handler: chat, StreamingClient: true, StreamingServer: true},
		},
	})
	fmt.Println("listening")
	return s.Serve(context.Background(), listener)
}

func say(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
	var request wrapperspb.StringValue
	if err := unmarshal(&request); err != nil {
		return nil, err
	}
	if request.Value == "missing" {
		return nil, status.Error(codes.NotFound, "no such thing")
	}
	value, _ := ttrpc.GetMetadataValue(ctx, "key")
	return wrapperspb.String(request.Value + " " + value), nil
}

func count(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	var request wrapperspb.StringValue
	if err := stream.RecvMsg(&request); err != nil {
		return nil, err
	}
	for _, text := range []string{"0", "1", "2"} {
		if err := stream.SendMsg(wrapperspb.String(request.Value + text)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func collect(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	all := ""
	for {
		var request wrapperspb.StringValue
		err := stream.RecvMsg(&request)
		if err == io.EOF {
			return wrapperspb.String(all), nil
		}
		if err != nil {
			return nil, err
		}
		all += request.Value
	}
}

func chat(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	for {
		var request wrapperspb.StringValue
		err := stream.RecvMsg(&request)
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(wrapperspb.String(request.Value + "!")); err != nil {
			return nil, err
		}
	}
}
