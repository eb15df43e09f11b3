/** Everything: what the default file watches, web vitals, errors, missing pages, the store for later. */

// In the order that compresses best.
import { clientHints } from "./hints";
import { offline } from "./offline";
import { errors } from "./errors";
import { interactions } from "./interactions";
import { visitor } from "./visitor";
import { scrub } from "./scrub";
import { engagement } from "./engagement";
import { install } from "./script";
import { notFound } from "./not-found";
import { vitals } from "./vitals";

install(scrub, visitor, clientHints, engagement, interactions, vitals, errors, notFound, offline);
