// What each body must be, in the types that the engines' own clients publish, generated from the
// specifications of their APIs. Some of those allow any further member: here only the named ones count.

import type { estypes as elastic } from "@elastic/elasticsearch";
import type * as ismPolicy from "@opensearch-project/opensearch/api/ism/putPolicy.js";
import type * as component from "@opensearch-project/opensearch/api/cluster/putComponentTemplate.js";
import type * as template from "@opensearch-project/opensearch/api/indices/putIndexTemplate.js";
import type * as ism from "@opensearch-project/opensearch/api/_types/ism._common.js";
import type * as indices from "@opensearch-project/opensearch/api/_types/indices._common.js";

type Named<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

type Component<Settings, Mappings> = {
  template: { settings: { index: Settings } } | { mappings: Mappings };
  _meta: Record<string, unknown>;
};

export type Elasticsearch = {
  _ilm: Required<Pick<elastic.IlmPutLifecycleRequest, "policy">>;
  _component_template: Component<elastic.IndicesIndexSettingsKeys, elastic.MappingTypeMapping>;
  _index_template: Omit<elastic.IndicesPutIndexTemplateRequest, "name" | "body" | "querystring">;
};

// The specification has any object here; the names are those of the plugin's documentation.
type Conditions = {
  min_index_age?: string;
  min_rollover_age?: string;
  min_doc_count?: number;
  min_size?: string;
  cron?: unknown;
};
type Transition = Omit<ism.Transition, "conditions"> & { conditions?: Conditions };
type State = Omit<ism.States, "transitions"> & { transitions?: Transition[] };

export type Opensearch = {
  _plugins: { policy: Omit<ism.Policy, "states"> & { states: State[] } };
  _component_template: Component<
    Named<indices.IndexSettings>,
    NonNullable<NonNullable<component.Cluster_PutComponentTemplate_RequestBody["template"]>["mappings"]>
  >;
  _index_template: template.Indices_PutIndexTemplate_RequestBody;
};

// What the client takes as a whole must take the narrower ones too.
type Fits<Narrow extends Wide, Wide> = Narrow;
export type Checked = Fits<Opensearch["_plugins"], NonNullable<ismPolicy.Ism_PutPolicy_Request["body"]>>;
