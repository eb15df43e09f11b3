/** Everything: what the default file watches, web vitals, errors, missing pages, the store for later. */

import { engagement } from "./engagement";
import { errors } from "./errors";
import { clientHints } from "./hints";
import { interactions } from "./interactions";
import { notFound } from "./not-found";
import { offline } from "./offline";
import { install } from "./script";
import { scrub } from "./scrub";
import { visitor } from "./visitor";
import { vitals } from "./vitals";

install(scrub, visitor, clientHints, engagement, interactions, vitals, errors, notFound, offline);
