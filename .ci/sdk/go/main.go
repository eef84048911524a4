// Command clients creates, lists and deletes an instance with the client that is generated for Go.
// Usage: clients BASE KEY
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"

	"clients/api"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, base, key string) error {
	withKey := func(_ context.Context, request *http.Request) error {
		request.Header.Set("X-API-Key", key)
		return nil
	}
	client, err := api.NewClientWithResponses(base, api.WithRequestEditorFn(withKey))
	if err != nil {
		return err
	}

	alias := "go"
	wanted := api.Create{Url: "demo://go", Alias: &alias}
	made, err := client.CreateInstanceWithResponse(ctx, nil, wanted)
	if err != nil {
		return err
	}
	if made.JSON201 == nil || made.JSON201.Alias != alias || made.JSON201.Meta.Tags == nil {
		return fmt.Errorf("create: %s %s", made.Status(), made.Body)
	}
	id := made.JSON201.Id

	listed, err := client.ListInstancesWithResponse(ctx)
	if err != nil {
		return err
	}
	isIt := func(one api.Instance) bool { return one.Id == id }
	if listed.JSON200 == nil || !slices.ContainsFunc(*listed.JSON200, isIt) {
		return fmt.Errorf("the list lacks it: %s", listed.Body)
	}

	deleted, err := client.DeleteInstanceWithResponse(ctx, id, nil)
	if err != nil {
		return err
	}
	if deleted.StatusCode() != http.StatusNoContent {
		return fmt.Errorf("delete: %s %s", deleted.Status(), deleted.Body)
	}

	missing, err := client.ReadInstanceWithResponse(ctx, id)
	if err != nil {
		return err
	}
	if missing.JSON404 == nil || missing.JSON404.Error == "" {
		return fmt.Errorf("it is not deleted: %s %s", missing.Status(), missing.Body)
	}
	return nil
}
