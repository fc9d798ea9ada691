import { Fields } from "./fields.ts";
import { Request } from "./request.ts";
import { RequestOptions } from "./request-options.ts";
import { Response } from "./response.ts";

/** wasi:http/types 0.3 */
export const httpTypes: Readonly<Record<string, unknown>> = {
  "wasi:http/types@0.3": { Fields, Request, RequestOptions, Response },
};
